/** Everything that must hold in every simulated run: the nine rules of design.md, and what follows from them. */
import { durableBeforeAcknowledged, neverLost } from './accepted.ts'
import { attemptsCountedRight } from './attempts.ts'
import { booksBalance } from './books.ts'
import { breakersAreKept } from './breakers.ts'
import type { CheckFactory } from './check.ts'
import { eventsFollowTheStore, operationsEndWithTheirItem } from './commits.ts'
import { effectsAsRecorded, noEffectTwice } from './effects.ts'
import { explainAgrees } from './explain.ts'
import { nothingSentWithoutLease } from './fences.ts'
import { gatesAreObeyed } from './gates.ts'
import { jobsDoAsAsked } from './jobs.ts'
import { oneSettlementPerLease } from './leases.ts'
import { limitsAreKept } from './limits.ts'
import { everythingEnds } from './liveness.ts'
import { workersKeepLooking } from './looking.ts'
import { orderIsKept } from './order.ts'
import { retriedOnlyWhenSafe } from './retries.ts'
import { secretsNeverLeave } from './secrets.ts'
import { nothingStarves } from './starvation.ts'
import { legalTransitions } from './transitions.ts'
import { undoneAsPromised } from './undoing.ts'

export const ALL_CHECKS: readonly CheckFactory[] = [
  booksBalance,
  neverLost,
  durableBeforeAcknowledged,
  legalTransitions,
  oneSettlementPerLease,
  nothingSentWithoutLease,
  noEffectTwice,
  effectsAsRecorded,
  retriedOnlyWhenSafe,
  operationsEndWithTheirItem,
  attemptsCountedRight,
  gatesAreObeyed,
  breakersAreKept,
  limitsAreKept,
  nothingStarves,
  workersKeepLooking,
  orderIsKept,
  undoneAsPromised,
  jobsDoAsAsked,
  everythingEnds,
  eventsFollowTheStore,
  explainAgrees,
  secretsNeverLeave,
]
