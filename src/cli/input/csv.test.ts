import { parse } from 'csv-parse/sync'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readCsv } from './csv.ts'
import { readLines } from './lines.ts'
import type { InputEntry } from './record.ts'

function read(text: string, options: { delimiter?: string; maximumBytes?: number } = {}): Promise<InputEntry[]> {
  async function* chunks() {
    yield Buffer.from(text)
  }
  const maximumBytes = options.maximumBytes ?? 1000
  return Array.fromAsync(readCsv(readLines(chunks(), { maximumBytes }), { maximumBytes, ...options }))
}

/** `2: {"a":"1"}` for records, `3! reason` for what was refused. */
async function told(text: string, options = {}): Promise<string[]> {
  return (await read(text, options)).map((entry) =>
    entry.kind === 'record' ? `${entry.line}: ${JSON.stringify(entry.value)}` : `${entry.line}! ${entry.reason}`,
  )
}

describe('CSV', () => {
  it('reads what another parser reads, for any well-formed file', async () => {
    const field = fc.string({ unit: fc.constantFrom('a', 'b', '"', ',', '\n', '\r\n', ' ', 'ü', ''), maxLength: 6 })
    const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`
    const written = fc.tuple(field, fc.boolean()).map(([text, quote]) => ({
      text: quote || /[",\r\n]/.test(text) ? quoted(text) : text,
    }))
    const row = fc
      .array(written, { minLength: 3, maxLength: 3 })
      .map((fields) => fields.map(({ text }) => text).join(','))
    await fc.assert(
      fc.asyncProperty(fc.array(row), fc.constantFrom('\n', '\r\n'), async (rows, newline) => {
        const text = ['x,y,z', ...rows].join(newline)
        const expected = parse(text, { columns: true, record_delimiter: newline, skip_empty_lines: true }) as unknown[]
        const entries = await read(text)
        expect(entries.map((entry) => (entry.kind === 'record' ? entry.value : entry))).toEqual(expected)
      }),
    )
  })

  it('tells the line where a record begins, over quoted newlines and empty lines', async () => {
    expect(await told('a,b\n"1\n2",3\n\n4,5\r\n')).toEqual(['2: {"a":"1\\n2","b":"3"}', '5: {"a":"4","b":"5"}'])
  })

  it.each<[string, string, string[]]>([
    [
      'too few and too many fields',
      'a,b\n1\n1,2,3\n7,8',
      ['2! it has 1 fields, the header has 2', '3! it has 3 fields, the header has 2', '4: {"a":"7","b":"8"}'],
    ],
    [
      'a quote inside a field',
      'a,b\nx"y,1\n7,8',
      ['2! a quote stands inside the field "x"y", which does not begin with one', '3: {"a":"7","b":"8"}'],
    ],
    ['text after a closing quote', 'a,b\n"4"z,1\n7,8', ['2! "z" follows a closing quote', '3: {"a":"7","b":"8"}']],
    [
      'a quote that nobody closes',
      'a,b\n1,"2\n5,6\n7,8',
      ['2! a quote is opened and not closed', '3: {"a":"5","b":"6"}', '4: {"a":"7","b":"8"}'],
    ],
    [
      'two of them',
      'a,b\n1,"2\n5,6\n1,"2\n7,8',
      [
        '2! "2" follows a closing quote',
        '3: {"a":"5","b":"6"}',
        '4! a quote is opened and not closed',
        '5: {"a":"7","b":"8"}',
      ],
    ],
  ])('R108: %s: that row is told, all others are read', async (_what, text, expected) => {
    expect(await told(text)).toEqual(expected)
  })

  it('an open quote is given up after the largest record, not after the rest of the file', async () => {
    const rows = Array.from({ length: 50 }, (_, index) => `${index},x`)
    const lines = await told(`a,b\n1,"2\n${rows.join('\n')}\n`, { maximumBytes: 60 })
    expect(lines[0]).toBe('2! a quote is opened and not closed within 60 bytes')
    expect(lines).toHaveLength(51)
  })

  it('R001: every line of any text ends in a record or is told', async () => {
    const text = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', ' '), maxLength: 60 })
    await fc.assert(
      fc.asyncProperty(text, async (body) => {
        const entries = await read(`x,y\n${body}\nlast,row\n`, { maximumBytes: 20 })
        const covered = entries.flatMap((entry) =>
          spanOf(entry.line, JSON.stringify(entry.kind === 'bad' ? (entry.text ?? '') : entry.value)),
        )
        const lines = `${body}\nlast,row`.split('\n')
        for (const [index, line] of lines.entries()) {
          if (line.trim() !== '') expect(covered).toContain(index + 2)
        }
      }),
    )
  })

  it('another delimiter', async () => {
    expect(await told('a\tb\n1\t"2\t3"', { delimiter: '\t' })).toEqual(['2: {"a":"1","b":"2\\t3"}'])
  })

  it.each([
    ['a column without a name', 'a,,c\n1,2,3', 'column 2 has no name'],
    ['two columns of one name', 'a,b,a\n1,2,3', 'two columns are named "a"'],
    ['a broken header', 'a,"b\n1,2', 'line 1: a quote is opened and not closed'],
  ])('refuses %s', async (_what, text, message) => {
    await expect(read(text)).rejects.toMatchObject({
      code: 'invalid_input_file',
      message: expect.stringContaining(message),
    })
  })

  it('a column may have any name, even __proto__', async () => {
    const [entry] = await read('__proto__,constructor\n1,2')
    expect(Object.entries((entry as { value: object }).value)).toEqual([
      ['__proto__', '1'],
      ['constructor', '2'],
    ])
  })

  it('an empty file has no records', async () => {
    expect(await read('')).toEqual([])
    expect(await read('a,b\n')).toEqual([])
  })
})

/** The lines that a record covers: its own, and one more for each newline inside its values. */
function spanOf(line: number, json: string): number[] {
  const newlines = json.match(/\\n/g)?.length ?? 0
  return Array.from({ length: newlines + 1 }, (_, index) => line + index)
}
