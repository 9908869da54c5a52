import { messageOf } from '../../core/errors.ts'
import type { Line } from './lines.ts'
import type { InputEntry } from './record.ts'

/** One JSON value per line; empty lines are nothing. */
export async function* readJsonLines(lines: AsyncIterable<Line>): AsyncGenerator<InputEntry> {
  for await (const { number: line, text, problem } of lines) {
    if (text === undefined) yield { kind: 'bad', line, reason: problem ?? 'it cannot be read' }
    else if (text.trim() !== '') yield parseLine(text, line)
  }
}

function parseLine(text: string, line: number): InputEntry {
  try {
    return { kind: 'record', line, value: JSON.parse(text) as unknown }
  } catch (error) {
    return { kind: 'bad', line, reason: `it is not JSON: ${messageOf(error)}`, text }
  }
}
