import type { Command } from 'commander'
import type { Operations } from '../../engine/api.ts'
import type { CliContext } from '../context.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { listenForInterrupt } from '../interruption.ts'
import { showProgress } from '../output/progress.ts'
import { formatCount } from '../output/time.ts'
import type { Registrar } from '../registrar.ts'

export function define(command: Command, registrar: Registrar): void {
  command.description(
    'Shows with which keys the contents of the store are encrypted, by their ids; never a key. Encrypts them with a new one.',
  )
  registrar.examples(command, [
    ['holdfast keys', 'what is encrypted with which key, and what is in clear'],
    ['holdfast keys rotate', 'after a new key was put in front of the old one, for every process'],
    ['holdfast keys rotate --scrub', 'after `encryptPayloads` was turned on for a store that was in use'],
  ])
  const list = command
    .command('list', { isDefault: true })
    .description('Counts by key (the default). Reads everything.')
  registrar.handle(list, (context) => context.withHoldfast('look', ({ operations }) => showKeys(context, operations)))
  const rotate = command
    .command('rotate')
    .description(
      'Encrypts contents and credentials with the present (first) key; also what is there from before the store encrypted. Safe to interrupt and to run again.',
    )
    .option('--scrub', 'then clear what was overwritten from the files of the store (a file is written anew)')
  registrar.handle<{ scrub?: boolean }>(rotate, (context, { scrub = false }) =>
    context.withHoldfast('look', ({ operations }) => rotateAll(context, operations, scrub)),
  )
}

async function showKeys({ output }: CliContext, operations: Operations): Promise<ExitCode> {
  const use = await operations.keysInUse()
  const { encrypts, keyId, texts, inClear } = use
  const others = Object.keys(texts).filter((id) => id !== keyId)
  output.result(use, () =>
    [
      encrypts ? `The store encrypts its contents, with key ${keyId}.` : 'The store does not encrypt its contents.',
      ...Object.entries(texts).map(([id, count]) => `  key ${id}: ${formatCount(count)} texts`),
      `  in clear: ${formatCount(inClear)} inputs and outputs`,
    ].join('\n'),
  )
  if (encrypts && (others.length > 0 || inClear > 0)) output.next('holdfast keys rotate', 'to encrypt it all with one')
  return EXIT.done
}

async function rotateAll({ output, host }: CliContext, operations: Operations, scrub: boolean): Promise<ExitCode> {
  const credentials = await operations.rotateCredentialKey()
  using interruption = listenForInterrupt(host, 'Stopping. What was encrypted anew stays so; run it again to go on.')
  let seen = 0
  const progress = await showProgress(host, async () => ({ done: seen, total: seen, text: wordSeen(seen) }))
  try {
    const rotation = await operations.rotatePayloadKey({
      scrub,
      signal: interruption.signal,
      onProgress: (count) => {
        seen = count
      },
    })
    const result = { ...rotation, credentials: credentials.reencrypted }
    output.result(result, () => wordRotation(rotation, credentials.reencrypted.length))
    if (!rotation.isWhole) return EXIT.interrupted
    output.note('Once `holdfast keys` shows no other key, the old one can go.')
    return EXIT.done
  } finally {
    progress.stop()
  }
}

function wordSeen(seen: number): string {
  return `${formatCount(seen)} texts looked at`
}

function wordRotation(
  { encrypts, keyId, seen, changed, isWhole }: Awaited<ReturnType<Operations['rotatePayloadKey']>>,
  credentials: number,
): string {
  const ofCredentials = `${credentials} credentials encrypted anew.`
  if (!encrypts) return `The store does not encrypt its contents; ${ofCredentials}`
  const how = isWhole ? '' : ' Interrupted: run it again to go on.'
  return `Key ${keyId}: ${formatCount(changed)} of ${formatCount(seen)} texts and ${ofCredentials}${how}`
}
