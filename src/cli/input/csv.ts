/**
 * CSV (RFC 4180) with a header line, read so that a broken row takes no other with it: after a row that cannot be read, reading
 * goes on with the next line of the file. General parsers lose everything up to the end after an unclosed quote.
 */
import { configurationError } from '../../core/errors.ts'
import type { Line } from './lines.ts'
import type { InputEntry } from './record.ts'

export interface CsvOptions {
  /** One character. Default a comma. */
  readonly delimiter?: string
  /** A row with more than this was not meant: a quote that nobody closed. */
  readonly maximumBytes: number
}

interface Row {
  readonly line: number
  readonly fields: readonly string[]
  readonly text: string
}

const QUOTE = '"'

/**
 * One object per row, all values text; empty lines are nothing.
 * @throws HoldfastError `invalid_input_file` where the header cannot name the columns.
 */
export async function* readCsv(lines: AsyncIterable<Line>, options: CsvOptions): AsyncGenerator<InputEntry> {
  let columns: readonly string[] | undefined
  for await (const row of readRows(lines, options)) {
    if ('kind' in row) {
      if (!columns) throw invalidHeader(`line ${row.line}: ${row.reason}`)
      yield row
    } else if (!columns) {
      columns = columnsOf(row)
    } else if (row.fields.length !== columns.length) {
      const reason = `it has ${row.fields.length} fields, the header has ${columns.length}`
      yield { kind: 'bad', line: row.line, reason, text: row.text }
    } else {
      yield { kind: 'record', line: row.line, value: toObject(columns, row.fields) }
    }
  }
}

type BadRow = Extract<InputEntry, { kind: 'bad' }>

async function* readRows(lines: AsyncIterable<Line>, options: CsvOptions): AsyncGenerator<Row | BadRow> {
  const assembler = createAssembler(options)
  for await (const line of lines) yield* assembler.add(line)
  yield* assembler.end()
}

/** Puts rows together from lines: a quoted field may go over several. */
function createAssembler({ delimiter = ',', maximumBytes }: CsvOptions) {
  let open: Line[] = []
  let openLength = 0
  let parser = createRowParser(delimiter)

  function reset(): void {
    open = []
    openLength = 0
    parser = createRowParser(delimiter)
  }

  function* add(line: Line): Generator<Row | BadRow> {
    if (line.text === undefined) {
      yield* giveUp('a quote is opened and not closed')
      yield { kind: 'bad', line: line.number, reason: line.problem ?? 'it cannot be read' }
      return
    }
    if (open.length === 0 && line.text.trim() === '') return
    open.push(line)
    openLength += line.text.length + line.ending.length
    const outcome = parser.feed(line.text, line.ending)
    if (outcome === 'complete') {
      const row = { line: (open[0] as Line).number, fields: parser.fields, text: textOf(open) }
      reset()
      yield row
    } else if (outcome !== 'open') {
      yield* giveUp(outcome.problem)
    } else if (openLength > maximumBytes) {
      yield* giveUp(`a quote is opened and not closed within ${maximumBytes} bytes`)
    }
  }

  /** The first line of the open row is bad; those after it are read again, as rows of their own. */
  function* giveUp(reason: string): Generator<Row | BadRow> {
    const [first, ...rest] = open
    if (!first) return
    reset()
    yield { kind: 'bad', line: first.number, reason, text: first.text ?? '' }
    for (const line of rest) yield* add(line)
  }

  return {
    add,
    *end(): Generator<Row | BadRow> {
      while (open.length > 0) yield* giveUp('a quote is opened and not closed')
    },
  }
}

type Fed = 'complete' | 'open' | { readonly problem: string }

/** The fields of one row, fed line by line: every character is looked at once. */
function createRowParser(delimiter: string) {
  const fields: string[] = []
  /** Text of the quoted field that is open. */
  let quoted: string | undefined

  function feed(text: string, ending: string): Fed {
    let at = 0
    for (;;) {
      if (quoted === undefined && text[at] === QUOTE) {
        quoted = ''
        at++
      }
      if (quoted === undefined) {
        const end = text.indexOf(delimiter, at)
        const field = end < 0 ? text.slice(at) : text.slice(at, end)
        if (field.includes(QUOTE))
          return { problem: `a quote stands inside the field "${field}", which does not begin with one` }
        fields.push(field)
        if (end < 0) return 'complete'
        at = end + delimiter.length
        continue
      }
      const close = closingQuote(text, at)
      quoted += text.slice(at, close < 0 ? undefined : close).replaceAll('""', QUOTE)
      if (close < 0) {
        quoted += ending
        return 'open'
      }
      fields.push(quoted)
      quoted = undefined
      at = close + 1
      if (at === text.length) return 'complete'
      if (!text.startsWith(delimiter, at)) return { problem: `"${text[at]}" follows a closing quote` }
      at += delimiter.length
    }
  }

  return { fields, feed }
}

/** Where the quoted field ends: the first quote that is not doubled. */
function closingQuote(text: string, from: number): number {
  let at = text.indexOf(QUOTE, from)
  while (at >= 0 && text[at + 1] === QUOTE) at = text.indexOf(QUOTE, at + 2)
  return at
}

function columnsOf(row: Row): string[] {
  const columns = row.fields.map((field) => field.trim())
  const empty = columns.indexOf('')
  if (empty >= 0) throw invalidHeader(`column ${empty + 1} has no name`)
  const twice = columns.find((name, index) => columns.indexOf(name) !== index)
  if (twice !== undefined) throw invalidHeader(`two columns are named "${twice}"`)
  return columns
}

function toObject(columns: readonly string[], fields: readonly string[]): Record<string, string> {
  return Object.fromEntries(columns.map((column, index) => [column, fields[index] as string]))
}

function textOf(lines: readonly Line[]): string {
  return lines.map(({ text, ending }, index) => (index < lines.length - 1 ? `${text}${ending}` : text)).join('')
}

function invalidHeader(problem: string): Error {
  return configurationError(
    'invalid_input_file',
    `The first line does not name the columns: ${problem}`,
    'The first line of a CSV file must hold the name of each column, once.',
  )
}
