import { stripVTControlCharacters } from 'node:util'

// biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these must not reach a terminal
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g

/** Text from outside (an API's message, a record) on one line, unable to move the cursor or repaint the terminal. */
export function printable(text: string): string {
  return stripVTControlCharacters(text).replaceAll(CONTROL, ' ')
}

export function shorten(text: string, length: number): string {
  const characters = [...text]
  if (characters.length <= length) return text
  return `${characters.slice(0, Math.max(0, length - 1)).join('')}…`
}
