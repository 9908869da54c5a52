/**
 * The first look at what someone wrote, before any schema: plain data of a sane size, `${NAME}` references replaced. Works on
 * hostile input too: cycles, endless nesting, keys that would change a prototype.
 */
import { didYouMean } from './nearest.ts'
import type { Path, Problem } from './problems.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export interface PlainConfig {
  readonly value: unknown
  readonly problems: readonly Problem[]
}

/** Deeper than any configuration, shallow enough for every recursion that follows. */
const MAXIMUM_DEPTH = 64
/** Far more than thousands of endpoints need; a bomb of aliases stops here. */
const MAXIMUM_NODES = 200_000

const REFERENCE = /\$\{([^}]*)\}/g
const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/
/** An expression keeps its own `${...}`: that is JSONata, not a reference. */
const EXPRESSIONS = /(\{\{.*?\}\})/s

/**
 * Copies plain data, replacing references to environment variables; reports what cannot be part of a configuration.
 * @param mayBeMissing the places whose variables need not be set; they keep their text.
 * @param mayBeCode the places where a function may stand; it is passed on as it is.
 */
export function toPlainConfig(
  written: unknown,
  environment: Environment,
  mayBeMissing: (path: Path) => boolean = () => false,
  mayBeCode: (path: Path) => boolean = () => false,
): PlainConfig {
  const problems: Problem[] = []
  const ancestors = new Set<object>()
  let nodes = 0

  function copy(value: unknown, path: Path): unknown {
    nodes++
    if (typeof value === 'string') {
      return expandReferences(value, environment, (message, isMissing) => {
        if (!isMissing || !mayBeMissing(path)) problems.push({ path, message })
      })
    }
    if (typeof value !== 'object' || value === null) return copyLeaf(value, path)
    const refusal = refuseContainer(value, path)
    if (refusal !== undefined) {
      // Said once: a bomb would fill the screen with it.
      if (nodes <= MAXIMUM_NODES || problems.at(-1)?.message !== refusal) problems.push({ path, message: refusal })
      return undefined
    }
    ancestors.add(value)
    const copied = Array.isArray(value)
      ? value.map((element, index) => copy(element, [...path, index]))
      : copyObject(value as Record<string, unknown>, path)
    ancestors.delete(value)
    return copied
  }

  function copyLeaf(value: unknown, path: Path): unknown {
    if (value === undefined || value === null || typeof value === 'boolean' || typeof value === 'number') return value
    if (typeof value === 'function' && mayBeCode(path)) return value
    problems.push({ path, message: `a ${typeof value} cannot stand here; write plain data` })
    return undefined
  }

  function copyObject(value: Record<string, unknown>, path: Path): Record<string, unknown> {
    const copied: Record<string, unknown> = {}
    for (const key of Object.keys(value)) {
      if (nodes > MAXIMUM_NODES) break
      const inner = [...path, key]
      if (key === '__proto__') problems.push({ path: inner, message: 'this name cannot be used' })
      else copied[key] = copy(value[key], inner)
    }
    return copied
  }

  function refuseContainer(value: object, path: Path): string | undefined {
    if (ancestors.has(value)) return 'contains itself; write it out instead'
    if (path.length > MAXIMUM_DEPTH) return `nested deeper than ${MAXIMUM_DEPTH} levels`
    if (nodes > MAXIMUM_NODES) return `there are more than ${MAXIMUM_NODES} values; is this really a configuration?`
    if (Array.isArray(value) || isPlainObject(value)) return undefined
    return `a ${value.constructor?.name || 'special object'} cannot stand here; write plain data`
  }

  return { value: copy(written, []), problems }
}

function isPlainObject(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as unknown
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

function expandReferences(
  text: string,
  environment: Environment,
  report: (message: string, isMissing: boolean) => void,
): string {
  if (!text.includes('${')) return text
  return text
    .split(EXPRESSIONS)
    .map((part) => (part.startsWith('{{') ? part : part.replaceAll(REFERENCE, replaceReference)))
    .join('')

  function replaceReference(whole: string, name: string): string {
    if (!VARIABLE_NAME.test(name)) {
      report(`"${whole}" is not a reference; write "\${NAME}" with letters, digits and _`, false)
      return whole
    }
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined
    if (value) return value
    const state = value === '' ? 'is empty' : 'is not set'
    const near = value === '' ? '' : didYouMean(name, Object.keys(environment))
    report(`the environment variable ${name} ${state}${near}`, true)
    return whole
  }
}
