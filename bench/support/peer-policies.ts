/** cockatiel and opossum with the policies that Holdfast applies to every call: breaker, timeout and, where it has them, retries. */
import { createRequire } from 'node:module'
import {
  ConsecutiveBreaker,
  circuitBreaker,
  ExponentialBackoff,
  handleAll,
  type IPolicy,
  retry,
  SamplingBreaker,
  TimeoutStrategy,
  timeout,
  wrap,
} from 'cockatiel'

const TOTAL_TIMEOUT_MS = 60_000
const OPEN_MS = 30_000

/** Retry around breaker around timeout, as its documentation composes them. */
export function cockatielPolicy(breaker: 'consecutive' | 'sampling' = 'consecutive'): IPolicy {
  return wrap(
    retry(handleAll, { maxAttempts: 5, backoff: new ExponentialBackoff() }),
    circuitBreaker(handleAll, {
      halfOpenAfter: OPEN_MS,
      breaker:
        breaker === 'consecutive'
          ? new ConsecutiveBreaker(5)
          : new SamplingBreaker({ threshold: 0.5, duration: 60_000, minimumRps: 1 }),
    }),
    timeout(TOTAL_TIMEOUT_MS, TimeoutStrategy.Cooperative),
  )
}

/** opossum has no types of its own: this is the part that is used here. */
interface OpossumBreaker<Result> {
  fire(): Promise<Result>
  shutdown(): void
}
type OpossumConstructor = new <Result>(
  action: () => Promise<Result>,
  options: { timeout: number; errorThresholdPercentage: number; resetTimeout: number },
) => OpossumBreaker<Result>

export function opossumBreaker<Result>(action: () => Promise<Result>): OpossumBreaker<Result> {
  const CircuitBreaker = createRequire(import.meta.url)('opossum') as OpossumConstructor
  return new CircuitBreaker(action, { timeout: TOTAL_TIMEOUT_MS, errorThresholdPercentage: 50, resetTimeout: OPEN_MS })
}
