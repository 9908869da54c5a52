/** A scenario with a little of everything, for the tests of the tools around the simulator. */
import type { RecordPlan, Scenario, TroublePlan } from './scenario.ts'

export function testScenario(records: number, troubles: number): Scenario {
  return {
    seed: 'by hand',
    busyMs: 600_000,
    machines: [
      { name: 'm1', skewMs: 40, workers: 2, concurrency: 8, settings: { leaseMs: 5000 } },
      { name: 'm2', skewMs: 0, workers: 1, concurrency: 4, settings: {} },
    ],
    apis: [
      { name: 'crm', integration: { baseUrl: 'https://crm.test', limits: { concurrency: 5 } }, latencyMs: [10, 200] },
      { name: 'mail', integration: { baseUrl: 'https://mail.test' }, latencyMs: [5, 5] },
    ],
    pipelines: [
      {
        name: 'onboard',
        steps: [
          { name: 'look', kind: 'read', api: 'crm', after: [], optional: true },
          { name: 'make', kind: 'post_reconciled', api: 'crm', after: ['look'], optional: false, maxAttempts: 3 },
          { name: 'mail', kind: 'post_keyed', api: 'mail', after: ['make'], optional: false },
        ],
      },
      { name: 'clean', steps: [{ name: 'drop', kind: 'delete', api: 'crm', after: [], optional: false }] },
    ],
    submissions: [
      { atMs: 0, machine: 'm1', pipeline: 'onboard', records: recordsFrom(0, Math.ceil(records / 2)) },
      { atMs: 60_000, machine: 'm2', pipeline: 'clean', records: recordsFrom(Math.ceil(records / 2), records) },
    ],
    troubles: Array.from({ length: troubles }, (_, index) => TROUBLES[index % TROUBLES.length] as TroublePlan),
    operations: [
      { atMs: 120_000, machine: 'm2', what: 'replay', pick: 0.4, most: 5 },
      { atMs: 180_000, machine: 'm1', what: 'cancel', pick: 0.9, most: 2 },
    ],
  }
}

const TROUBLES: readonly TroublePlan[] = [
  { kind: 'network', atMs: 1000, lastsMs: 30_000, api: 'crm', what: 'lost_answer', share: 0.3 },
  { kind: 'crash', atMs: 2000, machine: 'm2', crossings: 40, downMs: 3000 },
  { kind: 'api', atMs: 5000, lastsMs: 90_000, api: 'mail', what: 'outage', share: 1 },
  { kind: 'rolling_restart', atMs: 9000, graceMs: 500, downMs: 800, config: { mail: {}, crm: {} } },
  { kind: 'freeze', atMs: 11_000, machine: 'm1', lastsMs: 20_000 },
  { kind: 'clock_jump', atMs: 12_000, byMs: -3000 },
]

function recordsFrom(from: number, to: number): RecordPlan[] {
  return Array.from({ length: to - from }, (_, index) => {
    const id = `r${from + index + 1}`
    return { id, key: `key-${id}`, entity: id, tenant: 'acme', refusedBy: ['make'], padding: 100 }
  })
}
