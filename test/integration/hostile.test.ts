/** Hostile requests for a real gateway, a few of those that `npm run fuzz` sends (docs/testing.md). */
import { expect, test } from 'vitest'
import { randomInteger } from '../../src/core/random.ts'
import { systemRandom } from '../../src/system/system-random.ts'
import { fuzz } from '../../tools/fuzz/run.ts'

const TIMEOUT_MS = 240_000
const FRESH = randomInteger(systemRandom, 1, 999_999_999)

test.each([
  // They get somewhere: past the parser, past the entrance, and through the proxy.
  ['a fixed seed', 1500, 6, ['200', '400', '404', '422']],
  // About two of 500 are answered 422, and sometimes none: what comes more often is asked for.
  ['a fresh seed', 500, FRESH, ['200', '400', '404']],
])(
  'issue 6: %s, %i requests, seed %i: no crash, no 5xx that is not meant, no call elsewhere, no leak',
  {
    timeout: TIMEOUT_MS,
  },
  async (_, requests, seed, statuses) => {
    const result = await fuzz({ requests, seed })
    expect(result.problems).toEqual([])
    expect(result.passed).toBe(true)
    expect(Object.keys(result.answers)).toEqual(expect.arrayContaining(statuses))
    expect(result.called).toBeGreaterThan(5)
  },
)
