import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RetrySettings } from '../../config/settings.ts'
import type { Failure, FailureClass } from '../../core/failure.ts'
import { type Random, seededRandom } from '../../core/random.ts'
import { DEAD_LETTER_REASONS, decideCrash, decideInline, decideRetry, type RetryFacts } from './retry.ts'

const SETTINGS: RetrySettings = {
  baseMs: 1_000,
  capMs: 60_000,
  jitter: 'full',
  maxAttempts: 6,
  maxAgeMs: 4 * 3_600_000,
  inlineMs: 60_000,
  slowLane: { maxTries: 10, spanMs: 3 * 86_400_000 },
}
/** Draws the longest wait: for retry k of full jitter, 2^k seconds. */
const HIGHEST: Random = { next: () => 1 - 2 ** -32, bytes: (length) => new Uint8Array(length) }
const LOWEST: Random = { next: () => 0, bytes: (length) => new Uint8Array(length) }

function failureOf(overrides: Partial<Failure> = {}): Failure {
  return {
    class: 'transient',
    code: 'http_503',
    message: 'Service Unavailable',
    userMessage: 'Try again later.',
    certainty: 'not_sent',
    hint: 'Wait.',
    rule: 'default:http.503 (R007)',
    countsAgainstBreaker: true,
    ...overrides,
  }
}

function factsOf(failure: Partial<Failure>, overrides: Partial<RetryFacts> = {}): RetryFacts {
  return { failure: failureOf(failure), repeatable: true, attempts: 1, sameClassInARow: 1, ageMs: 0, ...overrides }
}

function decide(failure: Partial<Failure>, overrides: Partial<RetryFacts> = {}, random: Random = HIGHEST) {
  return decideRetry(factsOf(failure, overrides), SETTINGS, random)
}

const CLASSES: readonly FailureClass[] = [
  'transient',
  'rate_limited',
  'wait_long',
  'authentication',
  'authorization',
  'not_found',
  'conflict',
  'validation',
  'schema',
  'too_large',
  'malformed_response',
  'unknown',
  'held',
  'cancelled',
  'configuration',
]

describe('transient failures', () => {
  it('R007, R060: a 503 is retried, and the reason explains itself', () => {
    expect(decide({}, { attempts: 3, sameClassInARow: 3 })).toEqual({
      kind: 'retry',
      delayMs: 8_000,
      reason: 'attempt 3 of 6; next in 8s; http_503; default:http.503 (R007)',
    })
  })

  it('R041, D08: the sixth attempt is the last', () => {
    expect(decide({}, { attempts: 5, sameClassInARow: 5 }).kind).toBe('retry')
    expect(decide({}, { attempts: 6, sameClassInARow: 6 })).toEqual({
      kind: 'dead_letter',
      reason: 'attempts_exhausted: attempt 6 of 6 failed; http_503; default:http.503 (R007)',
    })
  })

  it('D06: a 500 is worth three retries only, counted by its class', () => {
    expect(decide({ maxRetries: 3 }, { attempts: 4, sameClassInARow: 3 }).kind).toBe('retry')
    const last = decide({ maxRetries: 3 }, { attempts: 4, sameClassInARow: 4 })
    expect(last.kind).toBe('dead_letter')
    expect(last.reason).toMatch(/^retries_of_this_kind_exhausted: transient is worth 3 retries, and 4 tries in a row/)
  })

  it('R042, D09: no retry ends beyond the age limit', () => {
    const almost = SETTINGS.maxAgeMs - 2_000
    expect(decide({}, { ageMs: almost }).kind).toBe('retry')
    expect(decide({}, { ageMs: almost + 1 })).toMatchObject({
      kind: 'dead_letter',
      reason: expect.stringMatching(/^max_age: /),
    })
  })

  it('R046, R047: Retry-After is a floor of the wait', () => {
    expect(decide({ retryAfterMs: 10_000 })).toMatchObject({ kind: 'retry', delayMs: 11_000 })
    expect(decide({ retryAfterMs: 100 })).toMatchObject({ kind: 'retry', delayMs: 2_000 })
  })

  it('D11: a Retry-After beyond the age limit dead-letters at once, by its own name', () => {
    const disposition = decide({ retryAfterMs: 5 * 3_600_000 })
    expect(disposition).toMatchObject({ kind: 'dead_letter', reason: expect.stringMatching(/^retry_after_too_long: /) })
  })

  it('R019, rule 3: a timeout of an unsafe write becomes an unknown outcome, even on the last attempt', () => {
    for (const attempts of [1, 6]) {
      const disposition = decide(
        { certainty: 'maybe_applied', code: 'timeout_headers' },
        { repeatable: false, attempts },
      )
      expect(disposition.kind).toBe('unknown_outcome')
      expect(disposition.reason).toContain('it may have happened')
    }
  })

  it('R019: the same timeout of a safe call is retried, as is one that was surely not sent', () => {
    expect(decide({ certainty: 'maybe_applied' }, { repeatable: true }).kind).toBe('retry')
    expect(decide({ certainty: 'not_sent' }, { repeatable: false }).kind).toBe('retry')
  })
})

describe('rate limits', () => {
  const limited: Partial<Failure> = { class: 'rate_limited', code: 'http_429', rule: 'default:http.429 (R020)' }

  it('R020, R046: a 429 closes the gate for what the API asked, with jitter on top', () => {
    expect(decide({ ...limited, retryAfterMs: 30_000 }, {}, LOWEST)).toMatchObject({
      kind: 'close_gate',
      delayMs: 30_000,
    })
    expect(decide({ ...limited, retryAfterMs: 30_000 })).toMatchObject({ kind: 'close_gate', delayMs: 33_000 })
  })

  it('D09: it uses no attempt: also the hundredth is waited for', () => {
    expect(decide(limited, { attempts: 100, sameClassInARow: 100 }).kind).toBe('close_gate')
  })

  it('without a Retry-After our own backoff paces the lane, growing', () => {
    expect(decide(limited, { sameClassInARow: 1 })).toMatchObject({ delayMs: 2_000 })
    expect(decide(limited, { sameClassInARow: 4 })).toMatchObject({ delayMs: 16_000 })
  })

  it('"Retry-After: 0" again and again is no busy loop', () => {
    expect(decide({ ...limited, retryAfterMs: 0 }, { sameClassInARow: 4 })).toMatchObject({ delayMs: 16_000 })
  })

  it('D11: a limit that outlasts the age limit ends it', () => {
    const disposition = decide({ ...limited, retryAfterMs: SETTINGS.maxAgeMs + 1 })
    expect(disposition.reason).toMatch(/^retry_after_too_long: the API wants us back in 4h/)
    expect(decide(limited, { ageMs: SETTINGS.maxAgeMs }).reason).toMatch(/^max_age: /)
  })
})

describe('waits without attempts', () => {
  it('wait_long parks until the stated time', () => {
    expect(decide({ class: 'wait_long', retryAfterMs: 3_600_000 }, { attempts: 9 }, LOWEST)).toMatchObject({
      kind: 'park',
      delayMs: 3_600_000,
    })
  })

  it('a quota that renews at midnight is waited for, though that is beyond the age limit; next month is not (design, section 4)', () => {
    const nineHoursMs = 9 * 3_600_000
    expect(SETTINGS.maxAgeMs).toBeLessThan(nineHoursMs)
    expect(decide({ class: 'wait_long', retryAfterMs: nineHoursMs }, {}, LOWEST)).toMatchObject({
      kind: 'park',
      delayMs: nineHoursMs,
    })
    expect(decide({ class: 'wait_long', retryAfterMs: 30 * 86_400_000 }, {}, LOWEST)).toMatchObject({
      kind: 'dead_letter',
      reason: expect.stringContaining('retry_after_too_long'),
    })
  })

  it('wait_long without a time parks for 15 minutes, then longer, at most 2 hours', () => {
    const waits = [1, 2, 3, 4, 5, 500].map((sameClassInARow) =>
      decide({ class: 'wait_long' }, { sameClassInARow }, LOWEST),
    )
    expect(waits.map((wait) => 'delayMs' in wait && wait.delayMs / 60_000)).toEqual([15, 30, 60, 120, 120, 120])
  })

  it('D14: what we held ourselves is parked until then, and uses no attempt', () => {
    expect(decide({ class: 'held', retryAfterMs: 12_345 }, { attempts: 6 })).toMatchObject({
      kind: 'park',
      delayMs: 12_345,
    })
    expect(decide({ class: 'held' }, { attempts: 6 })).toMatchObject({ kind: 'park', delayMs: 2_000 })
  })

  it('D01: a refused credential suspends the lane, whatever the count', () => {
    expect(decide({ class: 'authentication', code: 'http_401' }, { attempts: 6 }).kind).toBe('suspend_lane')
  })
})

describe('permanent failures', () => {
  it.each(['authorization', 'not_found', 'validation', 'schema', 'too_large', 'configuration'] as const)(
    'R009, R059: %s is dead-lettered at the first attempt',
    (failureClass) => {
      const disposition = decide({ class: failureClass })
      expect(disposition).toMatchObject({ kind: 'dead_letter', reason: expect.stringMatching(/^not_retryable: /) })
    },
  )

  it('what the caller gave up on is named so', () => {
    expect(decide({ class: 'cancelled' }).reason).toMatch(/^cancelled: /)
  })
})

describe('conflicts (D05)', () => {
  it('R012: "already exists" is permanent', () => {
    expect(decide({ class: 'conflict', code: 'already_exists' })).toMatchObject({
      kind: 'dead_letter',
      reason: expect.stringContaining('the record is already there'),
    })
  })

  it('R013: a version conflict is retried three times', () => {
    const conflict = { class: 'conflict', code: 'version_conflict' } as const
    expect(decide(conflict, { attempts: 3, sameClassInARow: 3 }).kind).toBe('retry')
    expect(decide(conflict, { attempts: 4, sameClassInARow: 4 }).kind).toBe('dead_letter')
  })

  it('an unexplained 409 is retried twice where that is safe, else its outcome is unknown', () => {
    const conflict = { class: 'conflict', code: 'http_409' } as const
    expect(decide(conflict, { attempts: 2, sameClassInARow: 2 }).kind).toBe('retry')
    expect(decide(conflict, { attempts: 3, sameClassInARow: 3 }).kind).toBe('dead_letter')
    expect(decide(conflict, { repeatable: false }).kind).toBe('unknown_outcome')
  })
})

describe('doubtful failures', () => {
  it('R028, D07: a malformed answer to a read is retried twice, then dead-lettered', () => {
    const malformed = { class: 'malformed_response', certainty: 'applied' } as const
    expect(decide(malformed, { attempts: 2, sameClassInARow: 2 }).kind).toBe('retry')
    expect(decide(malformed, { attempts: 3, sameClassInARow: 3 }).kind).toBe('dead_letter')
  })

  it('D07: a malformed answer to a write is never resent', () => {
    for (const certainty of ['not_sent', 'maybe_applied', 'applied'] as const) {
      expect(decide({ class: 'malformed_response', certainty }, { repeatable: false }).kind).toBe('unknown_outcome')
    }
  })

  it('R005: unknown is tried twice more if safe or not sent, then dead-lettered; else its outcome is unknown', () => {
    expect(decide({ class: 'unknown' }, { repeatable: false, attempts: 2, sameClassInARow: 2 }).kind).toBe('retry')
    expect(decide({ class: 'unknown' }, { attempts: 3, sameClassInARow: 3 }).kind).toBe('dead_letter')
    expect(decide({ class: 'unknown', certainty: 'maybe_applied' }, { repeatable: false }).kind).toBe('unknown_outcome')
  })
})

const anyFacts = fc.record({
  failure: fc.record({
    class: fc.constantFrom(...CLASSES),
    certainty: fc.constantFrom('not_sent', 'maybe_applied', 'applied'),
    code: fc.constantFrom('http_503', 'already_exists', 'version_conflict'),
    retryAfterMs: fc.option(fc.integer({ min: 0, max: 8 * 3_600_000 }), { nil: undefined }),
    maxRetries: fc.option(fc.integer({ min: 0, max: 8 }), { nil: undefined }),
  }),
  repeatable: fc.boolean(),
  attempts: fc.integer({ min: 1, max: 12 }),
  sameClassInARow: fc.integer({ min: 1, max: 200 }),
  ageMs: fc.integer({ min: 0, max: 5 * 3_600_000 }),
  seed: fc.integer(),
})

function decideAny({ failure, seed, ...rest }: typeof anyFacts extends fc.Arbitrary<infer Facts> ? Facts : never) {
  const { retryAfterMs, maxRetries, ...named } = failure
  const given = {
    ...named,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(maxRetries !== undefined && { maxRetries }),
  }
  return decideRetry(factsOf(given, rest), SETTINGS, seededRandom(seed))
}

describe('every failure', () => {
  it('rule 3: what may have happened is never repeated blindly', () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        fc.pre(!facts.repeatable && facts.failure.certainty !== 'not_sent')
        expect(decideAny(facts).kind).toBe('unknown_outcome')
      }),
    )
  })

  it('D08, D09, D11: no wait beyond the age limit, none shorter than asked, no retry beyond the attempts', () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const disposition = decideAny(facts)
        if (disposition.kind === 'retry') expect(facts.attempts).toBeLessThan(SETTINGS.maxAttempts)
        if (!('delayMs' in disposition)) return
        const statedQuota = facts.failure.class === 'wait_long' && facts.failure.retryAfterMs !== undefined
        const longestMs = statedQuota ? SETTINGS.slowLane.spanMs : SETTINGS.maxAgeMs
        expect(facts.ageMs + disposition.delayMs).toBeLessThanOrEqual(longestMs)
        expect(disposition.delayMs).toBeGreaterThanOrEqual(facts.failure.retryAfterMs ?? 0)
      }),
    )
  })

  it('rule 9: every reason names the code and the rule; a dead letter starts with its stable word', () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const { kind, reason } = decideAny(facts)
        expect(reason).toContain(facts.failure.code)
        expect(reason).toContain('default:http.503 (R007)')
        if (kind === 'dead_letter') expect(DEAD_LETTER_REASONS).toContain(reason.split(':')[0])
      }),
    )
  })
})

describe('decideInline', () => {
  it('D09: goes on while the wait ends before the deadline', () => {
    const facts = factsOf({})
    expect(decideInline(facts, 2_001, SETTINGS, HIGHEST)).toMatchObject({
      kind: 'retry',
      delayMs: 2_000,
      usesAttempt: true,
    })
    const end = decideInline(facts, 2_000, SETTINGS, HIGHEST)
    expect(end).toMatchObject({ kind: 'give_up', disposition: { kind: 'retry', delayMs: 2_000 } })
    expect(end.reason).toBe(
      'the wait of 2s does not end within the 2s left; attempt 1 of 6; next in 2s; http_503; default:http.503 (R007)',
    )
  })

  it('waits out a short 429 without using an attempt, not a long one', () => {
    const limited = factsOf({ class: 'rate_limited', retryAfterMs: 5_000 })
    expect(decideInline(limited, 60_000, SETTINGS, LOWEST)).toMatchObject({
      kind: 'retry',
      delayMs: 5_000,
      usesAttempt: false,
    })
    expect(decideInline(limited, 4_000, SETTINGS, LOWEST).kind).toBe('give_up')
  })

  it.each(['wait_long', 'authentication', 'validation', 'held'] as const)('%s ends it at once', (failureClass) => {
    expect(decideInline(factsOf({ class: failureClass }), 60_000, SETTINGS, LOWEST).kind).toBe('give_up')
  })

  it('rule 3: an unknown outcome is told to the caller, not retried', () => {
    const facts = factsOf({ certainty: 'maybe_applied' }, { repeatable: false })
    expect(decideInline(facts, 60_000, SETTINGS, LOWEST)).toMatchObject({
      kind: 'give_up',
      disposition: { kind: 'unknown_outcome' },
    })
  })
})

describe('decideCrash (R097)', () => {
  it('repeats what is safe, the first time at once, then slower', () => {
    const delays = [1, 2, 3, 4].map((crashes) => decideCrash({ repeatable: true, crashes, reconcilable: false }))
    expect(delays.map((decision) => decision.kind === 'retry' && decision.delayMs)).toEqual([0, 1_000, 2_000, 4_000])
  })

  it('takes an item that keeps crashing its worker out of the way', () => {
    expect(decideCrash({ repeatable: true, crashes: 5, reconcilable: true })).toEqual({
      kind: 'dead_letter',
      reason: 'crashed the worker 5 times; the limit is 5',
    })
    expect(decideCrash({ repeatable: true, crashes: 2, maxCrashes: 2, reconcilable: true }).kind).toBe('dead_letter')
  })

  it('rule 3: looks for the effect of what must not be repeated, or asks a person', () => {
    expect(decideCrash({ repeatable: false, crashes: 1, reconcilable: true })).toMatchObject({
      kind: 'unknown_outcome',
      reconcile: true,
    })
    expect(decideCrash({ repeatable: false, crashes: 1, reconcilable: false })).toMatchObject({
      kind: 'unknown_outcome',
      reconcile: false,
    })
  })

  it('rule 3: an unsafe item that crashes even the look-up goes to a person, not to the dead letters', () => {
    expect(decideCrash({ repeatable: false, crashes: 5, reconcilable: true })).toEqual({
      kind: 'unknown_outcome',
      reconcile: false,
      reason: 'crashed the worker 5 times; it may have happened; a person must decide',
    })
  })
})
