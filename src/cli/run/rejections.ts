/** Records that were refused: the first few are shown at once, all go into a file where one is named. */
import { type FileHandle, open } from 'node:fs/promises'
import { configurationError, messageOf } from '../../core/errors.ts'
import type { BadRecord } from '../input/record.ts'
import type { Output } from '../output/output.ts'
import { printable, shorten } from '../output/printable.ts'

export interface Rejections extends AsyncDisposable {
  readonly add: (refusal: BadRecord) => Promise<void>
  /** The first few. */
  examples(): readonly { readonly line: number; readonly reason: string }[]
}

const SHOWN = 10
const LONGEST_REASON = 300

/** @throws HoldfastError `rejected_unwritable` */
export async function createRejections(output: Output, path: string | undefined): Promise<Rejections> {
  const file = path === undefined ? undefined : await openForWriting(path)
  const first: { line: number; reason: string }[] = []
  let count = 0
  return {
    async add({ line, reason, text }) {
      count++
      const shown = shorten(printable(reason), LONGEST_REASON)
      if (count <= SHOWN) {
        first.push({ line, reason: shown })
        output.note(`line ${line}: ${shown}`)
      } else if (count === SHOWN + 1) {
        const where = path === undefined ? 'use --rejected FILE to keep all of them' : `all of them are in ${path}`
        output.note(`... and more; ${where}`)
      }
      await file?.write(`${JSON.stringify({ line, reason, text: text ?? null })}\n`)
    },
    examples: () => first,
    [Symbol.asyncDispose]: async () => file?.close(),
  }
}

async function openForWriting(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'w')
  } catch (cause) {
    throw configurationError(
      'rejected_unwritable',
      `The file ${path} cannot be written: ${messageOf(cause)}`,
      'Check the name given with --rejected.',
      { path },
      cause,
    )
  }
}
