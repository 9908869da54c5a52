/** Regular expressions that people write into rules: `/text/`. Refused where a hostile answer could make one run for long. */

/** Answers are matched up to this length. */
export const PATTERN_INPUT_LENGTH = 2000
const LONGEST_PATTERN = 200
/** Steps that one match may take at worst. */
const MOST_STEPS = 20_000_000

/** `undefined` for a text that is no pattern. */
export function patternSource(text: string): string | undefined {
  return text.length > 2 && text.startsWith('/') && text.endsWith('/') ? text.slice(1, -1) : undefined
}

/** Compiled without regard to case. Only for texts that {@link patternProblem} finds nothing wrong with. */
export function compilePattern(source: string): RegExp {
  return new RegExp(source, 'i')
}

/** What is wrong with a `/pattern/`; `undefined` where nothing is, and for a text that is none. */
export function patternProblem(text: string): string | undefined {
  const source = patternSource(text)
  if (source === undefined) return undefined
  if (source.length > LONGEST_PATTERN) return `expected a pattern of at most ${LONGEST_PATTERN} characters`
  if (!compiles(source)) return 'expected a valid regular expression between the slashes'
  // What is escaped or in a class is one character.
  const plain = source.replace(/\\./g, 'x').replace(/\[[^\]]*\]/g, 'x')
  if (/\(\?(?!:)/.test(plain) || /\\(?:[1-9]|k)/.test(source)) {
    return 'expected a pattern without look-around, named groups and back-references'
  }
  if (/\)(?:[*+]|\{)/.test(plain)) return 'expected a pattern that repeats no group: it could take for ever'
  return worstSteps(plain) > MOST_STEPS
    ? 'expected at most one * or +; write {0,50} for the others: it could take for ever'
    : undefined
}

/** Every place to begin at, times what each repetition may take. */
function worstSteps(plain: string): number {
  const repetitions = [...plain.matchAll(/[*+]|\{(\d+)(?:(,)(\d*))?\}/g)].map(([, least, comma, most]) => {
    if (least === undefined || (comma !== undefined && most === '')) return PATTERN_INPUT_LENGTH
    return Math.max(1, comma === undefined ? 1 : Number(most) - Number(least) + 1)
  })
  return repetitions.reduce((steps, times) => steps * times, PATTERN_INPUT_LENGTH)
}

function compiles(source: string): boolean {
  try {
    compilePattern(source)
    return true
  } catch {
    return false
  }
}
