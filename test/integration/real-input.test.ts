/**
 * Real payloads into a real server that nobody here wrote, over a connection that loses answers: the example of
 * `examples/webhooks-to-json-server`, run as a person would run it.
 */
import { copyFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type FlakyApi, type Resource, startFlakyApi } from '../../examples/webhooks-to-json-server/flaky-api.ts'
import {
  BAD_LINES,
  GOOD_CONTACTS,
  type WebhookEvent,
  webhookEvents,
  writeInputs,
} from '../../examples/webhooks-to-json-server/inputs.ts'
import type { RunResult } from '../../src/cli/run/run-file.ts'
import type { AuditReport } from '../../src/ledger/port.ts'
import { jsonOf, openWorkshop, type Workshop } from '../support/workshop.ts'

const EVENTS = webhookEvents()
const EXAMPLE = new URL('../../examples/webhooks-to-json-server/', import.meta.url)
const MINUTE_MS = 60_000

const runEvents = ['run', 'events', '--input', 'events.jsonl', '--key', 'deliveryId']
const runContacts = ['run', 'contacts', '--input', 'contacts.csv', '--key', 'email', '--rejected', 'rejected.jsonl']

describe('real input into json-server, behind a proxy that breaks answers', () => {
  test(
    'R079, R090: 329 webhook payloads arrive once each, unchanged; a second run changes nothing',
    async () => {
      await using example = await openExample()
      const { workshop, api } = example
      const first = await workshop.holdfast(...runEvents)
      expect(first.stderr).not.toContain('error:')
      expect(first.code).toBe(0)
      expect(jsonOf<RunResult>(first)).toMatchObject({
        counts: { read: 329, accepted: 329, known: 0, refused: 0 },
        balance: { accepted: 329, states: { succeeded: 329 }, needsPerson: 0, balanced: true },
      })
      expectEveryDeliveryOnce(api)
      expectAllFaults(api, [
        'executed_then_reset',
        'reset_before_executing',
        'html_ok',
        'truncated_body',
        'status',
        'delay',
      ])

      const before = { records: workshop.read('db.json'), requests: api.proxy.requests.total }
      const second = await workshop.holdfast(...runEvents)
      expect(second.code).toBe(0)
      expect(jsonOf<RunResult>(second)).toMatchObject({
        counts: { read: 329, accepted: 0, known: 329 },
        balance: { accepted: 329, states: { succeeded: 329 } },
      })
      expect(workshop.read('db.json')).toBe(before.records)
      expect(api.proxy.requests.total).toBe(before.requests)
      await expectBalanced(workshop)
    },
    2 * MINUTE_MS,
  )

  test(
    'killed half way with SIGKILL, the same command goes on where it was',
    async () => {
      await using example = await openExample()
      const { workshop, api } = example
      const doomed = workshop.start(...runEvents)
      await api.proxy.until(() => created(api, 'deliveries') >= 150)
      doomed.child.kill('SIGKILL')
      expect((await doomed.ended).signal).toBe('SIGKILL')
      await expectBalanced(workshop)
      const doneBefore = new Set(api.records('deliveries').map((record) => record['deliveryId']))
      expect(doneBefore.size).toBeLessThan(EVENTS.length)

      const createdBefore = created(api, 'deliveries')
      const next = await workshop.holdfast(...runEvents)
      expect(next.code).toBe(0)
      expect(jsonOf<RunResult>(next)).toMatchObject({
        counts: { read: 329, accepted: 0, known: 329 },
        balance: { states: { succeeded: 329 }, balanced: true },
      })
      expectEveryDeliveryOnce(api)
      // What was there was not sent again: as many records were made as were missing, by as many requests.
      expect(created(api, 'deliveries') - createdBefore).toBe(EVENTS.length - doneBefore.size)
      await expectBalanced(workshop)
    },
    2 * MINUTE_MS,
  )

  test(
    'R108: a CSV with mistakes: bad rows are told by line and kept, the others arrive once each',
    async () => {
      await using example = await openExample()
      const { workshop, api } = example
      const first = await workshop.holdfast(...runContacts)
      expect(first.code).toBe(3)
      const counts = { read: GOOD_CONTACTS + BAD_LINES.length, refused: BAD_LINES.length }
      expect(jsonOf<RunResult>(first)).toMatchObject({
        counts: { ...counts, accepted: GOOD_CONTACTS },
        balance: { accepted: GOOD_CONTACTS, states: { succeeded: GOOD_CONTACTS }, balanced: true },
      })
      const rejected = workshop.read('rejected.jsonl').trim().split('\n')
      expect(rejected.map((line) => (JSON.parse(line) as { line: number }).line).sort()).toEqual([...BAD_LINES])
      for (const line of BAD_LINES) expect(first.stderr).toContain(`line ${line}: `)
      const expected = Array.from({ length: GOOD_CONTACTS }, (_, index) => `contact.${index}@example.com`)
      expect(valuesOf(api, 'contacts', 'email')).toEqual(expected.sort())

      const before = workshop.read('db.json')
      const second = await workshop.holdfast(...runContacts)
      expect(second.code).toBe(3)
      expect(jsonOf<RunResult>(second)).toMatchObject({ counts: { ...counts, accepted: 0, known: GOOD_CONTACTS } })
      expect(workshop.read('db.json')).toBe(before)
      await expectBalanced(workshop)
    },
    MINUTE_MS,
  )

  test(
    'start.ts runs, and what it says to type works',
    async () => {
      await using workshop = openWorkshop()
      const program = new URL('start.ts', EXAMPLE).pathname
      const start = workshop.spawn(process.execPath, [program], { TMPDIR: workshop.folder })
      await start.says('Ctrl-C here')
      const said = start.stdout()
      const folder = /cd (\S+)/.exec(said)?.[1] as string
      const command = /holdfast (run contacts .*)/.exec(said)?.[1] as string
      const env = { ARCHIVE_URL: /ARCHIVE_URL=(\S+)/.exec(said)?.[1] as string }
      const holdfast = /alias holdfast='(.+)'/.exec(said)?.[1] as string
      const run = workshop.spawn('sh', ['-c', `cd ${folder} && ${holdfast} ${command}`], env)
      expect(await run.ended).toMatchObject({ code: 3, stderr: expect.not.stringContaining('error:') })
      start.child.kill('SIGINT')
      const { code, stdout } = await start.ended
      expect(code).toBe(0)
      expect(stdout).toContain(`contacts: ${GOOD_CONTACTS} records, 0 of them doubled`)
    },
    MINUTE_MS,
  )
})

interface Example extends AsyncDisposable {
  readonly workshop: Workshop
  readonly api: FlakyApi
}

/** Each with a database of its own. */
async function openExample(): Promise<Example> {
  const env: Record<string, string> = {}
  const workshop = openWorkshop(env)
  copyFileSync(new URL('holdfast.yaml', EXAMPLE), workshop.path('holdfast.yaml'))
  writeInputs(workshop.folder)
  const api = await startFlakyApi(workshop.path('db.json'))
  env['ARCHIVE_URL'] = api.url
  return {
    workshop,
    api,
    async [Symbol.asyncDispose]() {
      await workshop[Symbol.asyncDispose]()
      await api[Symbol.asyncDispose]()
    },
  }
}

function expectEveryDeliveryOnce(api: FlakyApi): void {
  const records = api.records('deliveries') as unknown as readonly WebhookEvent[]
  const byId = new Map(records.map((record) => [record.deliveryId, record]))
  expect({ records: records.length, different: byId.size }).toEqual({ records: 329, different: 329 })
  for (const { deliveryId, event, payload } of EVENTS) {
    expect(byId.get(deliveryId)).toMatchObject({ deliveryId, event })
    expect(byId.get(deliveryId)?.payload).toEqual(payload)
  }
}

/** Records that json-server made. */
function created(api: FlakyApi, resource: Resource): number {
  return api.proxy.forwarded.filter(({ method, path, status }) => {
    return method === 'POST' && path === `/${resource}` && status === 201
  }).length
}

function expectAllFaults(api: FlakyApi, kinds: readonly string[]): void {
  const happened = [...api.proxy.faults.keys()]
  expect(happened.sort()).toEqual([...kinds].sort())
}

function valuesOf(api: FlakyApi, resource: Resource, field: string): unknown[] {
  return api
    .records(resource)
    .map((record) => record[field])
    .sort()
}

async function expectBalanced(workshop: Workshop): Promise<void> {
  const ended = await workshop.holdfast('audit')
  expect(jsonOf<AuditReport>(ended)).toMatchObject({ balanced: true })
  expect(ended.code).toBe(0)
}
