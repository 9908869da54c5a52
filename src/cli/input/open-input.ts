/** A file, or stdin, as a stream of records. */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, extname, resolve as resolvePath } from 'node:path'
import { configurationError, messageOf } from '../../core/errors.ts'
import { readCsv } from './csv.ts'
import { readJsonLines } from './jsonl.ts'
import { type LineOptions, readLines } from './lines.ts'
import type { InputEntry } from './record.ts'

export type InputFormat = 'csv' | 'jsonl'

export interface InputOptions {
  /** Name of a file, or `-` for stdin. */
  readonly name: string
  readonly directory: string
  readonly format?: InputFormat
  readonly delimiter?: string
  readonly maximumBytes: number
}

export interface Input {
  /** `leads.csv`; `stdin`. */
  readonly name: string
  /** `undefined` where nobody knows: stdin. */
  readonly totalBytes: number | undefined
  /** Read so far. */
  readBytes(): number
  readonly entries: AsyncIterable<InputEntry>
}

const FORMATS: Readonly<Record<string, { format: InputFormat; delimiter?: string }>> = {
  '.csv': { format: 'csv' },
  '.tsv': { format: 'csv', delimiter: '\t' },
  '.jsonl': { format: 'jsonl' },
  '.ndjson': { format: 'jsonl' },
}

/** @throws HoldfastError `input_unreadable`, `unknown_input_format` */
export async function openInput(options: InputOptions): Promise<Input> {
  const isStdin = options.name === '-'
  const path = resolvePath(options.directory, options.name)
  const { format, delimiter } = formatOf(options)
  const totalBytes = isStdin ? undefined : await sizeOf(path)
  let readBytes = 0
  const lineOptions: LineOptions = {
    maximumBytes: options.maximumBytes,
    onBytes: (bytes) => {
      readBytes += bytes
    },
  }
  const lines = readLines(isStdin ? process.stdin : createReadStream(path), lineOptions)
  const csvOptions = { maximumBytes: options.maximumBytes, ...(delimiter !== undefined && { delimiter }) }
  return {
    name: isStdin ? 'stdin' : basename(path),
    totalBytes,
    readBytes: () => readBytes,
    entries: format === 'csv' ? readCsv(lines, csvOptions) : readJsonLines(lines),
  }
}

function formatOf(options: InputOptions): { format: InputFormat; delimiter?: string } {
  const known = FORMATS[extname(options.name).toLowerCase()]
  const format = options.format ?? known?.format
  const delimiter = options.delimiter ?? known?.delimiter
  if (format) return { format, ...(delimiter !== undefined && { delimiter }) }
  throw configurationError(
    'unknown_input_format',
    `The name "${options.name}" does not tell the format`,
    'Name it with --format csv or --format jsonl (one JSON value per line).',
  )
}

async function sizeOf(path: string): Promise<number> {
  try {
    const facts = await stat(path)
    if (facts.isDirectory()) throw new Error('it is a folder')
    return facts.size
  } catch (cause) {
    throw configurationError(
      'input_unreadable',
      `The input ${path} cannot be read: ${messageOf(cause)}`,
      'Check the name given with --input; - reads from stdin.',
      { path },
      cause,
    )
  }
}
