import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { DemoReport } from '../../src/cli/demo/report.ts'

const program = resolve(import.meta.dirname, '../../bin/holdfast.mjs')
const MINUTES_MS = 3 * 60_000

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

function holdfast(directory: string, ...args: string[]): Promise<Ended> {
  return new Promise((settle) => {
    execFile(
      process.execPath,
      [program, ...args],
      { cwd: directory, maxBuffer: 64 * 2 ** 20 },
      (error, stdout, stderr) => {
        settle({ code: error ? Number(error.code) : 0, stdout, stderr })
      },
    )
  })
}

/** What must hold whatever happened on the way. */
function expectNothingLostOrDoubled(report: DemoReport, leads: number): void {
  expect(report).toMatchObject({
    leads,
    accepted: leads,
    succeeded: leads - 13,
    // Twelve without a company, and one that the CRM knows already.
    needs_person: 13,
    duplicates: 0,
    lost: 0,
    balanced: true,
  })
  expect(report.groups.map((group) => group.count)).toEqual([12, 1])
  for (const group of report.groups) expect(group.hint).not.toBe('')
}

describe('holdfast demo', () => {
  let directory: string
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'holdfast-demo-'))
  })
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  test(
    'R001, R069, R070, R076: nothing lost, nothing doubled; the dead CRM gets a few calls, and the other lanes go on',
    async () => {
      const { code, stdout } = await holdfast(directory, 'demo', '--json', '--leads', '2000')
      expect(code).toBe(0)
      const report = JSON.parse(stdout) as DemoReport
      expectNothingLostOrDoubled(report, 2000)
      expect(report.calls_to_dead_endpoint).toBeLessThan(60)
      expect(report.enriched_during_outage).toBeGreaterThan(100)
      expect(report.enrolled_during_outage).toBeGreaterThan(100)
      expect(report.looked_for_lost_effects).toBeGreaterThan(0)
    },
    MINUTES_MS,
  )

  test(
    'R135, R136: what it left can be repaired, replayed and verified',
    async () => {
      const groups = JSON.parse((await holdfast(directory, 'dlq', 'groups', '--demo', '--json')).stdout)
      const list = (Array.isArray(groups) ? groups : groups.groups) as { fingerprint: string; count: number }[]
      const data = list.find((group) => group.count === 12)
      const patch = ['--patch', '{"company":"Acme"}']
      const target = ['dlq', 'replay', '--demo', '--json', '--group', data?.fingerprint ?? '', ...patch]
      const plan = await holdfast(directory, ...target, '--dry-run')
      expect(JSON.parse(plan.stdout)).toMatchObject({ selected: 12, replayed: 0, dryRun: true })
      const replayed = await holdfast(directory, ...target, '--canary', '2', '--yes', '--wait')
      expect(replayed.code, replayed.stderr).toBe(0)
      expect(JSON.parse(replayed.stdout)).toMatchObject({ replayed: 12 })
      const audit = await holdfast(directory, 'audit', '--demo', '--json')
      expect(JSON.parse(audit.stdout)).toMatchObject({
        balanced: true,
        balance: { accepted: 8000, needsPerson: 1, states: { succeeded: 7999, dead_lettered: 1 } },
      })
    },
    MINUTES_MS,
  )

  test(
    'R091, R097: the same with a worker that is killed again and again',
    async () => {
      const { code, stdout } = await holdfast(directory, 'demo', '--json', '--kill', '--leads', '1000')
      expect(code).toBe(0)
      const report = JSON.parse(stdout) as DemoReport
      expectNothingLostOrDoubled(report, 1000)
      expect(report.worker_kills).toBeGreaterThanOrEqual(3)
    },
    MINUTES_MS,
  )

  test(
    'the same on PostgreSQL, with a server of its own, and what it left is there to work with',
    async () => {
      const { code, stdout } = await holdfast(directory, 'demo', '--json', '--store', 'postgres', '--leads', '1000')
      expect(code).toBe(0)
      expectNothingLostOrDoubled(JSON.parse(stdout) as DemoReport, 1000)
      const audit = await holdfast(directory, 'audit', '--demo', '--store', 'postgres', '--json')
      expect(JSON.parse(audit.stdout)).toMatchObject({ balanced: true, balance: { accepted: 4000 } })
    },
    MINUTES_MS,
  )
})
