/** What is wrong with a configuration: gathered, not thrown one by one, so that one look mends all of it. */
import { configurationError, type HoldfastError } from '../core/errors.ts'

export type Path = readonly (string | number)[]

export interface Problem {
  readonly path: Path
  /** What was expected, what was found, the nearest right name. Never a secret. */
  readonly message: string
}

export interface Position {
  /** Both from 1. */
  readonly line: number
  readonly column: number
}

/** More than this helps nobody; the number of the rest is told. */
const SHOWN_PROBLEMS = 20

/** `integrations.crm.endpoints["POST /x"].timeouts`; the top is `(top)`. */
export function wordPath(path: Path): string {
  if (path.length === 0) return '(top)'
  return path
    .map((part, index) => {
      if (typeof part === 'number') return `[${part}]`
      const key = part.length > 80 ? `${part.slice(0, 77)}...` : part
      if (!/^[A-Za-z_][\w-]*$/.test(key)) return `[${JSON.stringify(key)}]`
      return index === 0 ? key : `.${key}`
    })
    .join('')
}

/**
 * @param source the file, or `the configuration` where it came as a value.
 * @param locate where a path stands in the file, if it came from one.
 */
export function configError(
  source: string,
  problems: readonly Problem[],
  locate: (path: Path) => Position | undefined = () => undefined,
): HoldfastError {
  const worded = problems.map((problem) => ({
    path: wordPath(problem.path),
    message: problem.message,
    ...locate(problem.path),
  }))
  const lines = worded
    .slice(0, SHOWN_PROBLEMS)
    .map(({ path, message, line }) => `  ${line ? `line ${line}, ` : ''}${path}: ${message}`)
  if (worded.length > SHOWN_PROBLEMS) lines.push(`  ... and ${worded.length - SHOWN_PROBLEMS} more`)
  const count = worded.length === 1 ? '1 problem' : `${worded.length} problems`
  return configurationError(
    'invalid_config',
    `${source} has ${count}:\n${lines.join('\n')}`,
    'Correct the places named above. Everything that can be written is in the JSON Schema and in the documentation.',
    { source, problems: worded },
  )
}
