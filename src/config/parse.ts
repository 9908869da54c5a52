/** YAML and JSON texts: to data, with line and column of what is wrong. */
import { extname } from 'node:path'
import { type Document, isAlias, isCollection, isMap, LineCounter, type Node, parseDocument, visit } from 'yaml'
import { configurationError, messageOf } from '../core/errors.ts'
import type { Path, Position } from './problems.ts'

/** Aliases may be used this often: enough for shared sections, too few for a bomb. */
const MAXIMUM_ALIASES = 1000

/**
 * @param file its ending decides: `.json` is JSON, everything else YAML 1.2, with `<<` merging.
 * @throws HoldfastError `config_syntax`, with `details.line` and `details.column`.
 */
export function parseConfigText(text: string, file: string): unknown {
  if (extname(file) === '.json') checkJson(text, file)
  const lines = new LineCounter()
  const document = guarded(file, () => parseDocument(text, { lineCounter: lines, merge: true, prettyErrors: false }))
  // A JSON text is YAML too: this second reading finds the keys that stand twice, which JSON.parse lets pass.
  const isJson = extname(file) === '.json'
  const error = document.errors.find(({ code }) => !isJson || code === 'DUPLICATE_KEY')
  if (error) {
    const { line, col } = lines.linePos(error.pos[0])
    throw syntaxError(file, error.message, { line, column: col })
  }
  if (isJson) return JSON.parse(text) as unknown
  const bare = guarded(file, () => findBareExpression(document))
  if (bare?.range) {
    const { line, col } = lines.linePos(bare.range[0])
    throw syntaxError(file, 'braces as a key; an expression must stand in quotes: "{{ ... }}"', { line, column: col })
  }
  return guarded(file, () => document.toJS({ maxAliasCount: MAXIMUM_ALIASES }) as unknown)
}

/** `body: {{ input }}` without quotes is a map whose key is a map: legal YAML that nobody means. */
function findBareExpression(document: Document.Parsed): Node | undefined {
  let found: Node | undefined
  visit(document, {
    Pair(_, { key }) {
      if (!isCollection(key)) return undefined
      found = key
      return visit.BREAK
    },
  })
  return found
}

/** Finds where a path stands in a text. Looks only when asked: problems are rare. */
export function positionFinder(text: string): (path: Path) => Position | undefined {
  let find: ((path: Path) => Position | undefined) | undefined
  return (path) => {
    find ??= createFinder(text)
    return find(path)
  }
}

function createFinder(text: string): (path: Path) => Position | undefined {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, merge: true })
  return (path) => {
    let node: unknown = document.contents
    let offset: number | undefined
    for (const part of path) {
      if (isAlias(node)) node = node.resolve(document)
      if (!isCollection(node)) break
      const keyNode = isMap(node) ? node.items.find((pair) => keyText(pair.key) === String(part))?.key : undefined
      const child = node.get(part, true)
      const found = (keyNode ?? child) as Node | undefined
      if (!found?.range) break
      offset = found.range[0]
      node = child
    }
    if (offset === undefined) return undefined
    const { line, col } = lines.linePos(offset)
    return { line, column: col }
  }
}

function keyText(key: unknown): string {
  return String((key as { value?: unknown } | null)?.value)
}

function checkJson(text: string, file: string): void {
  try {
    JSON.parse(text)
  } catch (cause) {
    const message = messageOf(cause)
    throw syntaxError(file, message.replace(/ \(line \d+ column \d+\)$/, ''), jsonPosition(text, message), cause)
  }
}

/** V8 tells the position in its message, except at the end of the text. */
function jsonPosition(text: string, message: string): Position {
  const offset = Number(/at position (\d+)/.exec(message)?.[1] ?? text.length)
  const before = text.slice(0, offset).split('\n')
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 }
}

/** The parser's own defences (too many aliases, too deep) are syntax errors for us. */
function guarded<Value>(file: string, read: () => Value): Value {
  try {
    return read()
  } catch (cause) {
    throw syntaxError(file, messageOf(cause), undefined, cause)
  }
}

function syntaxError(file: string, message: string, position: Position | undefined, cause?: unknown) {
  const where = position ? `${file}, line ${position.line}, column ${position.column}` : file
  return configurationError(
    'config_syntax',
    `${where}: ${message.split('\n')[0]}`,
    'Correct the file at this place.',
    { file, ...position },
    cause,
  )
}
