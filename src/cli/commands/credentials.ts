import type { Command } from 'commander'
import type { CredentialView } from '../../client/credentials/operators.ts'
import { HoldfastError } from '../../core/errors.ts'
import type { Operations } from '../../engine/api.ts'
import type { CliContext } from '../context.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { formatRelative, formatTime } from '../output/time.ts'
import type { Registrar } from '../registrar.ts'

/** These need a person. */
const ILL = new Set<CredentialView['health']>(['missing', 'refused', 'unreadable'])

export function define(command: Command, registrar: Registrar): void {
  command.description(
    'Shows how the credentials are, never what they are; stores new ones, changes the key they are encrypted with.',
  )
  registrar.examples(command, [
    ['holdfast credentials', 'all of them'],
    ['holdfast credentials set hubspot < token.txt', 'a new secret, or refresh token; what waited for it goes on'],
    ['holdfast credentials set hubspot --env NEW_TOKEN', 'the same, from a variable'],
    ['holdfast credentials refresh hubspot', 'a new token now, whatever the present one is still good for'],
    ['holdfast credentials rotate-key', 'after a new key was put in front of the old one'],
  ])

  const list = command.command('list', { isDefault: true }).description('Lists the credentials (the default).')
  registrar.handle(list, (context) =>
    context.withHoldfast('look', async ({ operations }) => showAll(context, await operations.credentials())),
  )

  const show = command.command('show <name>').description('Everything about one credential, but for its secrets.')
  registrar.handle(show, (context, _options, [name = '']) =>
    context.withHoldfast('look', async ({ operations }) => showOne(context, await operations.credentials(), name)),
  )

  const set = command
    .command('set <name>')
    .description('Stores a new secret or refresh token, read from stdin or a variable, and resumes what waited for it.')
    .option('--env <variable>', 'the environment variable that holds it')
  registrar.handle<{ env?: string }>(set, (context, { env }, [name = '']) => setOne(context, name, env))

  const refresh = command
    .command('refresh <name>')
    .description(
      'Gets a new OAuth token from the token endpoint now, once for all processes; where the old one was refused, resumes what waited for it.',
    )
  registrar.handle(refresh, (context, _options, [name = '']) =>
    context.withHoldfast('send', async ({ operations }) => {
      const refreshed = await operations.refreshCredential(name)
      context.output.result(refreshed, () => wordRefresh(refreshed))
      if (refreshed.resumed.length > 0) context.output.next('holdfast status')
      return EXIT.done
    }),
  )

  const rotate = command
    .command('rotate-key')
    .description('Encrypts all stored credentials with the present (first) key. Older keys are then needed no more.')
  registrar.handle(rotate, (context) =>
    context.withHoldfast('look', async ({ operations }) => {
      const rotation = await operations.rotateCredentialKey()
      const { keyId, reencrypted, unchanged } = rotation
      context.output.result(
        rotation,
        () =>
          `Encrypted with key ${keyId}: ${reencrypted.length} anew, ${unchanged.length} already were or hold nothing.`,
      )
      context.output.note('Once every process has the new key, the old one can go.')
      return EXIT.done
    }),
  )
}

async function setOne(context: CliContext, name: string, variable: string | undefined): Promise<ExitCode> {
  const { readSecret } = await import('../input/read-secret.ts')
  const secret = await readSecret(context.host, variable)
  return context.withHoldfast('look', async ({ operations }) => {
    const resumed = await operations.setCredential(name, secret)
    context.output.result(
      { stored: name, resumed },
      () => `Stored, encrypted: ${name}. Resumed: ${resumed.join(', ')}.`,
    )
    context.output.next('holdfast status')
    return EXIT.done
  })
}

function wordRefresh({ credential, resumed }: Awaited<ReturnType<Operations['refreshCredential']>>): string {
  const { name, version, obtainedAtMs, expiresAtMs } = credential
  const good =
    expiresAtMs === undefined
      ? 'the vendor does not say until when it is good'
      : `good until ${formatTime(expiresAtMs)}`
  const lines = [`Renewed ${name} (version ${version}) at ${formatTime(obtainedAtMs ?? 0)}; ${good}.`]
  return [...lines, ...(resumed.length > 0 ? [`Resumed: ${resumed.join(', ')}.`] : [])].join('\n')
}

function showAll({ output, host }: CliContext, credentials: readonly CredentialView[]): ExitCode {
  const nowMs = host.clock.wallMs()
  output.result({ credentials }, () => {
    if (credentials.length === 0) return 'No credentials are configured.'
    return output.table(
      [
        { title: 'credential', value: ({ name }) => name },
        { title: 'kind', value: kindOf },
        { title: 'health', value: ({ health }) => health },
        { title: 'expires', value: ({ expiresAtMs }) => (expiresAtMs ? formatRelative(expiresAtMs, nowMs) : '') },
        { title: 'why', value: ({ reason }) => reason, flexible: true },
      ],
      credentials,
    )
  })
  const ill = credentials.find(({ health }) => ILL.has(health))
  if (ill) output.next(`holdfast credentials show ${ill.name}`)
  return ill ? EXIT.needsPerson : EXIT.done
}

function showOne({ output }: CliContext, credentials: readonly CredentialView[], wanted: string): ExitCode {
  const view = credentials.find(({ name }) => name === wanted || name.split('/')[0] === wanted)
  if (!view) {
    throw new HoldfastError({
      code: 'credential_not_found',
      class: 'not_found',
      message: `There is no credential "${wanted}"`,
      hint: '`holdfast credentials` lists them.',
    })
  }
  output.result(view, () => linesOf(view).join('\n'))
  if (view.health === 'missing' || view.health === 'refused') {
    const isSet = view.type === 'stored' || view.grant === 'refresh_token'
    if (isSet) output.next(`holdfast credentials set ${view.name}`, 'with a new secret on stdin')
    else output.next(`holdfast integrations resume ${view.name.split('/')[0]}`, 'when it is put right')
  }
  return ILL.has(view.health) ? EXIT.needsPerson : EXIT.done
}

function linesOf(view: CredentialView): string[] {
  const time = (atMs: number | undefined) => (atMs === undefined ? 'never' : formatTime(atMs))
  return [
    `${view.name}: ${view.health}${view.reason === '' ? '' : `, ${view.reason}`}`,
    `kind: ${kindOf(view)}`,
    `version: ${view.version}, obtained ${time(view.obtainedAtMs)}`,
    `expires: ${view.expiresAtMs === undefined ? 'not known' : formatTime(view.expiresAtMs)}`,
    `token endpoint asked: ${time(view.askedAtMs)}${view.unanswered ? ', and it has not answered' : ''}`,
    `encrypted with: ${view.keyId === undefined ? 'nothing is stored' : `key ${view.keyId}${view.keyIsPresent ? '' : ', which is not the present one'}`}`,
  ]
}

function kindOf({ type, grant }: CredentialView): string {
  if (type === undefined) return 'no longer configured'
  return grant === undefined ? type : `${type} ${grant}`
}
