/**
 * The part of a scenario that real processes can live through, in a few seconds of real time: its pipelines, its traffic, its
 * network and vendor troubles, its crashes and freezes. Times are scaled down; policies are quick ones, since those of the
 * scenario would not fit. What one process cannot be made to suffer alone (a clock that is wrong, a store that lies) is left out.
 */
import type { ApiPlan, PipelinePlan, Scenario, StepPlan, TroublePlan } from '../../../src/testing/simulator/scenario.ts'

/** How long troubles and traffic last. */
const BUSY_MS = 5000
const MOST_RECORDS = 60
const LEASE_MS = 500
/** Shorter than this, nothing would meet it. */
const SHORTEST_TROUBLE_MS = 150
const LONGEST_TROUBLE_MS = 1500

export function forReal(scenario: Scenario): Scenario {
  const scale = BUSY_MS / scenario.busyMs
  const pipelines = scenario.pipelines.map(withRealSteps).filter(({ steps }) => steps.length > 0)
  const names = new Set(pipelines.map(({ name }) => name))
  let left = MOST_RECORDS
  const submissions = scenario.submissions
    .filter(({ pipeline }) => names.has(pipeline))
    .map((submission) => {
      const records = submission.records.slice(0, left)
      left -= records.length
      return { ...submission, atMs: submission.atMs * scale, records }
    })
  return {
    ...scenario,
    busyMs: BUSY_MS,
    machines: scenario.machines.map((machine) => ({ ...machine, skewMs: 0, settings: SETTINGS })),
    apis: scenario.apis.map(quickApi),
    pipelines,
    submissions,
    troubles: scenario.troubles.flatMap((trouble) => scaled(trouble, scale)),
    operations: [],
  }
}

const SETTINGS = { leaseMs: LEASE_MS, pollMs: 50, healthSyncMs: 100, reconcileDelayMs: 60, maxCrashes: 1_000_000 }

function quickApi({ name, integration }: ApiPlan): ApiPlan {
  const { baseUrl, endpoints, errors } = integration
  return {
    name,
    integration: {
      baseUrl,
      timeouts: { connect: '1s', headers: '500ms', body: '500ms', total: '2s' },
      retry: { base: '20ms', cap: '200ms', maxAttempts: 200 },
      retryBudget: { ratio: 1, minimumPerSecond: 1000, burst: 1000 },
      breaker: { open: '100ms', maxOpen: '300ms', rampStep: '50ms' },
      limits: { concurrency: 20 },
      ...(errors && { errors }),
      endpoints: Object.fromEntries(
        Object.entries(endpoints ?? {}).flatMap(([endpoint, { idempotency }]) =>
          idempotency ? [[endpoint, { idempotency }]] : [],
        ),
      ),
    },
    latencyMs: [5, 5],
  }
}

/** Effects of code happen in a process that may be killed: only what a twin has seen can be counted from outside. */
function withRealSteps({ name, steps }: PipelinePlan): PipelinePlan {
  const kept = new Set(steps.filter(isReal).map((step) => step.name))
  return {
    name,
    steps: steps.filter(isReal).map(({ name, kind, api, after, optional }) => ({
      name,
      kind,
      api,
      optional,
      after: after.filter((before) => kept.has(before)),
    })),
  }
}

function isReal({ kind }: StepPlan): boolean {
  return kind !== 'code_unsafe' && kind !== 'code_reconciled'
}

function scaled(trouble: TroublePlan, scale: number): TroublePlan[] {
  const atMs = trouble.atMs * scale
  switch (trouble.kind) {
    case 'network':
    case 'api':
    case 'freeze': {
      const lastsMs = Math.min(LONGEST_TROUBLE_MS, Math.max(SHORTEST_TROUBLE_MS, trouble.lastsMs * scale))
      return [{ ...trouble, atMs, lastsMs: Math.min(lastsMs, Math.max(1, BUSY_MS - atMs)) }]
    }
    case 'crash':
      return [{ ...trouble, atMs, downMs: Math.min(200, trouble.downMs * scale) }]
    default:
      return []
  }
}
