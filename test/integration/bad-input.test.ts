/** What a person meets who makes a mistake, or whose disk, store or data is not what it should be. */

import { once } from 'node:events'
import { createWriteStream, readFileSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RunResult } from '../../src/cli/run/run-file.ts'
import type { AuditReport } from '../../src/ledger/port.ts'
import { systemClock } from '../../src/system/system-clock.ts'
import { systemRandom } from '../../src/system/system-random.ts'
import { resource } from '../../src/testing/twin/resource.ts'
import { startTwin, type Twin } from '../../src/testing/twin/twin.ts'
import { canMount, onTinyDisk } from '../support/tiny-disk.ts'
import { type Ended, HOLDFAST_PROGRAM, jsonOf, openWorkshop, type Workshop } from '../support/workshop.ts'

const MINUTE_MS = 60_000
const MEBIBYTE = 1024 * 1024

interface Bench extends AsyncDisposable {
  readonly workshop: Workshop
  readonly twin: Twin
}

/** A configuration with one pipeline, and the API behind it. */
async function openBench(): Promise<Bench> {
  const workshop = openWorkshop()
  const twin = await startTwin({
    clock: systemClock,
    random: systemRandom,
    routes: resource('/contacts', { effectKey: 'email' }),
  })
  workshop.write('holdfast.yaml', configuration(twin.url))
  return {
    workshop,
    twin,
    async [Symbol.asyncDispose]() {
      await workshop[Symbol.asyncDispose]()
      await twin.close()
    },
  }
}

function configuration(url: string): string {
  return `store: sqlite:./holdfast.db
integrations:
  crm:
    baseUrl: ${url}
    retry: { base: 50ms, cap: 200ms, maxAttempts: 3 }
    limits: { concurrency: 50 }
worker: { lease: 2s, poll: 50ms }
pipelines:
  create:
    steps:
      contact:
        integration: crm
        request: { method: POST, path: /contacts, body: { email: "{{ input.email }}" } }
        reconcile:
          request: { method: GET, path: /contacts, query: { email: "{{ input.email }}" } }
          found: "{{ answer.data.results[0].id }}"
`
}

function contacts(count: number, notes = ''): string {
  const lines = Array.from({ length: count }, (_, index) => JSON.stringify({ email: `${index}@example.com`, notes }))
  return `${lines.join('\n')}\n`
}

const runContacts = ['run', 'create', '--input', 'contacts.jsonl', '--key', 'email']

/** What was wrong, what to do, and no stack trace. */
function expectClear(ended: Ended, expected: { code: number; error: string | RegExp; hint: string | RegExp }): void {
  expect(ended.stderr).toMatch(expected.error)
  expect(/hint: {2}(.*)/.exec(ended.stderr)?.[1]).toMatch(expected.hint)
  expect(ended.stderr).not.toContain('    at ')
  expect(ended.stdout).toBe('')
  expect(ended.code).toBe(expected.code)
}

function expectEachOnce(twin: Twin, count: number): void {
  expect(twin.duplicates()).toEqual([])
  const expected = Array.from({ length: count }, (_, index) => `${index}@example.com`)
  expect(twin.effects.map(({ key }) => key).sort()).toEqual(expected.sort())
}

async function expectBalanced(workshop: Workshop): Promise<void> {
  expect(jsonOf<AuditReport>(await workshop.holdfast('audit'))).toMatchObject({ balanced: true })
}

describe('configuration', () => {
  test('all that is wrong is told at once, with line, place, what was expected and the nearest right name', async () => {
    await using bench = await openBench()
    const { workshop } = bench
    const wrong = configuration('ftp://crm')
      .replace('retry:', 'retyr:')
      .replace('POST', 'PSOT')
      .replace('lease: 2s', 'lease: 2')
    workshop.write('holdfast.yaml', wrong)
    workshop.write('contacts.jsonl', contacts(1))
    const ended = await workshop.holdfast(...runContacts)
    expectClear(ended, { code: 2, error: /holdfast\.yaml has 4 problems:/, hint: 'Correct the places named above' })
    expect(ended.stderr).toContain('line 4, integrations.crm.baseUrl: expected an http(s) URL')
    expect(ended.stderr).toContain('line 5, integrations.crm.retyr: unknown key; did you mean "retry"?')
    expect(ended.stderr).toContain('line 7, worker.lease: expected a duration with its unit')
    expect(ended.stderr).toContain('got "PSOT"; did you mean "POST"?')
    expect(() => workshop.read('holdfast.db')).toThrow('ENOENT')
  })

  test('names that lead nowhere are told with the nearest that exists', async () => {
    await using bench = await openBench()
    const { workshop, twin } = bench
    workshop.write('holdfast.yaml', configuration(twin.url).replace('integration: crm', 'integration: cmr'))
    const ended = await workshop.holdfast('status')
    const error = 'pipelines.create.steps.contact.integration: there is no integration "cmr"; did you mean "crm"?'
    expectClear(ended, { code: 2, error, hint: 'Correct' })
  })

  test('a missing one', async () => {
    await using workshop = openWorkshop()
    const ended = await workshop.holdfast('run', 'create', '--input', 'contacts.jsonl')
    expectClear(ended, { code: 2, error: 'There is no configuration in', hint: /holdfast init/ })
    const named = await workshop.holdfast('status', '--config', 'production.yaml')
    expectClear(named, { code: 2, error: /There is no file .*production\.yaml/, hint: '--config' })
  })
})

describe('input', () => {
  test('a missing file', async () => {
    await using bench = await openBench()
    const ended = await bench.workshop.holdfast(...runContacts)
    expectClear(ended, { code: 2, error: /The input .*contacts\.jsonl cannot be read/, hint: '--input' })
  })

  test('R108: bad lines of JSONL and bad rows of CSV are told by line; the rest goes on; a person is asked for', async () => {
    await using bench = await openBench()
    const { workshop, twin } = bench
    const lines = contacts(10).split('\n')
    lines.splice(3, 0, '{"email": "broken@example.com"', '["no", "email"]', '')
    workshop.write('contacts.jsonl', lines.join('\n'))
    const jsonl = await workshop.holdfast(...runContacts)
    expect(jsonl.code).toBe(3)
    expect(jsonl.stderr).toContain('line 4: it is not JSON')
    expect(jsonl.stderr).toContain('line 5: the key (email) is not there')
    expect(jsonOf<RunResult>(jsonl)).toMatchObject({
      counts: { read: 12, accepted: 10, refused: 2 },
      refusedExamples: [{ line: 4 }, { line: 5 }],
      balance: { accepted: 10, states: { succeeded: 10 }, balanced: true },
    })

    const rows = ['email,name', '10@example.com,Ten', '11@example.com', '"12@example.com,Nobody closed this', '']
    workshop.write('contacts.csv', [...rows, '13@example.com,"Thirteen ""13"""'].join('\n'))
    const csv = await workshop.holdfast('run', 'create', '--input', 'contacts.csv', '--key', 'email')
    expect(csv.code).toBe(3)
    expect(csv.stderr).toContain('line 3: it has 1 fields, the header has 2')
    expect(csv.stderr).toContain('line 4: ')
    expect(jsonOf<RunResult>(csv)).toMatchObject({
      counts: { read: 4, accepted: 2, refused: 2 },
      refusedExamples: [{ line: 3 }, { line: 4 }],
    })
    expect(twin.effects).toHaveLength(12)
    await expectBalanced(workshop)
  })

  test(
    'a payload of 100 MB is refused by its line, in little memory; those around it go on',
    async () => {
      await using bench = await openBench()
      const { workshop, twin } = bench
      await writeHugeLine(workshop.path('contacts.jsonl'), 100)
      const memory = { NODE_OPTIONS: '--max-old-space-size=64' }
      const words = [HOLDFAST_PROGRAM, ...runContacts, '--rejected', 'rejected.jsonl']
      const ended = await workshop.spawn(process.execPath, words, memory).ended
      expect(ended.code).toBe(3)
      expect(ended.stderr).toMatch(/line 2: the line has 1048\d{5} bytes, more than 4194304/)
      expect(jsonOf<RunResult>(ended)).toMatchObject({ counts: { read: 3, accepted: 2, refused: 1 } })
      expectEachOnce(twin, 2)
      expect(workshop.read('rejected.jsonl').length).toBeLessThan(1000)
    },
    MINUTE_MS,
  )

  test(
    'an answer of 100 MB ends its item with a reason, and no other',
    async () => {
      await using bench = await openBench()
      const { workshop, twin } = bench
      twin.script({ key: '1@example.com' }, [{ kind: 'huge_body', bytes: 100 * MEBIBYTE }])
      workshop.write('contacts.jsonl', contacts(3))
      const ended = await workshop.holdfast(...runContacts)
      // It had its effect, which was looked for and found: nothing is left to do.
      expect(ended.code).toBe(0)
      expect(jsonOf<RunResult>(ended)).toMatchObject({ balance: { states: { succeeded: 3 } } })
      const items = await workshop.holdfast('items', '--key', '1@example.com')
      const { itemId } = jsonOf<{ items: { itemId: string }[] }>(items).items[0] ?? { itemId: '' }
      const explained = await workshop.holdfast('explain', itemId, '--no-json')
      expect(explained.stdout).toContain('response_too_large')
      expectEachOnce(twin, 3)
    },
    MINUTE_MS,
  )
})

/** Two good records with one of so many mebibytes between them, never held in memory as a whole. */
async function writeHugeLine(path: string, mebibytes: number): Promise<void> {
  const file = createWriteStream(path)
  const piece = 'x'.repeat(MEBIBYTE)
  file.write('{"email":"0@example.com"}\n{"email":"huge@example.com","notes":"')
  for (let written = 0; written < mebibytes; written++) {
    if (!file.write(piece)) await once(file, 'drain')
  }
  file.end('"}\n{"email":"1@example.com"}\n')
  await once(file, 'finish')
}

/** What a disk of a few mebibytes can be had for: a mount of one's own. Elsewhere these tests cannot be run. */
describe.skipIf(!canMount())('disk', () => {
  test(
    'a full one: told with what to do; with room again, the same command goes on, and nothing is lost or doubled',
    async () => {
      await using bench = await openBench()
      const { workshop, twin } = bench
      workshop.write('contacts.jsonl', contacts(5000, 'n'.repeat(1000)))
      const run = `node ${HOLDFAST_PROGRAM} run create --input ../contacts.jsonl --key email --batch b`
      const disk = onTinyDisk(workshop, '4m', [
        'cp ../holdfast.yaml .',
        `${run} > ../first.out 2> ../first.err; echo $? > ../first.code`,
        'mount -o remount,size=40m .',
        `${run} > ../second.out 2> ../second.err; echo $? > ../second.code`,
        `node ${HOLDFAST_PROGRAM} audit > ../audit.json`,
      ])
      expect(await disk.ended).toMatchObject({ code: 0, stderr: '' })
      expect(workshop.read('first.code').trim()).toBe('1')
      expect(workshop.read('first.err')).toMatch(/error: The store sqlite:\S+ has no space left/)
      expect(workshop.read('first.err')).toContain('hint:  Free some disk space')
      expect(workshop.read('second.code').trim()).toBe('0')
      const second = JSON.parse(workshop.read('second.out')) as RunResult
      expect(second.counts.known).toBeGreaterThan(0)
      expect(second.balance).toMatchObject({ accepted: 5000, states: { succeeded: 5000 } })
      expect(JSON.parse(workshop.read('audit.json'))).toMatchObject({ balanced: true })
      expectEachOnce(twin, 5000)
    },
    MINUTE_MS,
  )

  test(
    'one that fills up under a worker: it says so, can still be ended, and nothing is lost or doubled',
    async () => {
      await using bench = await openBench()
      const { workshop, twin } = bench
      workshop.write('contacts.jsonl', contacts(2000))
      await workshop.holdfast(...runContacts, '--no-work')
      const disk = onTinyDisk(workshop, '4m', [
        'cp ../holdfast.yaml ../holdfast.db .',
        `node ${HOLDFAST_PROGRAM} worker > ../worker.out & worker=$!`,
        'trap "kill -TERM $worker" TERM',
        // Interrupted by the trap the first time.
        'wait $worker; wait $worker; echo "the worker ended with $?"',
        'trap - TERM; mount -o remount,size=40m .',
        `node ${HOLDFAST_PROGRAM} worker --until-idle > ../second.out; echo "the second with $?"`,
        `node ${HOLDFAST_PROGRAM} audit > ../audit.json`,
      ])
      await disk.says('has no space left')
      disk.child.kill('SIGTERM')
      const { stdout } = await disk.ended
      expect(stdout).toContain('the worker ended with 0')
      expect(stdout).toContain('the second with 0')
      expect(JSON.parse(workshop.read('audit.json'))).toMatchObject({
        balanced: true,
        balance: { states: { succeeded: 2000 } },
      })
      expectEachOnce(twin, 2000)
    },
    MINUTE_MS,
  )

  test('one that is read-only', async () => {
    await using bench = await openBench()
    const { workshop, twin } = bench
    workshop.write('contacts.jsonl', contacts(5))
    await workshop.holdfast(...runContacts, '--no-work')
    const disk = onTinyDisk(workshop, '4m', [
      'cp ../holdfast.yaml ../holdfast.db .; mount -o remount,ro .',
      `node ${HOLDFAST_PROGRAM} worker --until-idle`,
    ])
    const error = /error: The store sqlite:\S+ (cannot be written|cannot be opened)/
    expectClear(await disk.ended, { code: 1, error, hint: /this user .*write/ })
    expect((await workshop.holdfast(...runContacts)).code).toBe(0)
    expectEachOnce(twin, 5)
  })
})

describe('store', () => {
  /** As a forgotten database tool does. */
  const LOCK = `const { DatabaseSync } = require('node:sqlite')
const database = new DatabaseSync('holdfast.db')
database.exec('BEGIN EXCLUSIVE')
console.log('locked')
process.once('SIGTERM', () => { database.exec('ROLLBACK'); process.exit() })
setInterval(() => {}, 1000)`

  describe('locked by another process', () => {
    let bench: Bench
    beforeAll(async () => {
      bench = await openBench()
      bench.workshop.write('contacts.jsonl', contacts(20))
      await bench.workshop.holdfast(...runContacts, '--no-work', '--batch', 'before')
    })
    afterAll(() => bench[Symbol.asyncDispose]())

    test(
      'for longer than it waits: told with what to do; afterwards the same command does it all',
      async () => {
        const { workshop, twin } = bench
        workshop.write('contacts.jsonl', contacts(40))
        const locker = workshop.spawn(process.execPath, ['-e', LOCK])
        await locker.says('locked')
        const ended = await workshop.holdfast(...runContacts, '--no-work')
        expectClear(ended, {
          code: 1,
          error: /error: The store sqlite:\S+ was locked by another process for 3\d{4} ms; nothing was changed/,
          hint: 'Find the process that holds a write transaction open',
        })
        locker.child.kill('SIGTERM')
        await locker.ended
        const again = await workshop.holdfast(...runContacts)
        expect(again.code).toBe(0)
        expect(jsonOf<RunResult>(again)).toMatchObject({ counts: { accepted: 20, known: 20 } })
        await workshop.holdfast('worker', '--until-idle')
        expectEachOnce(twin, 40)
        await expectBalanced(workshop)
      },
      2 * MINUTE_MS,
    )
  })

  test('locked for a while: it waits, and goes on', async () => {
    await using bench = await openBench()
    const { workshop, twin } = bench
    workshop.write('contacts.jsonl', contacts(20))
    await workshop.holdfast(...runContacts, '--no-work')
    const locker = workshop.spawn(process.execPath, ['-e', LOCK])
    await locker.says('locked')
    const worker = workshop.start('worker', '--until-idle')
    await worker.says('is working')
    expect(twin.effects).toHaveLength(0)
    locker.child.kill('SIGTERM')
    expect((await worker.ended).code).toBe(0)
    expectEachOnce(twin, 20)
    await expectBalanced(workshop)
  })

  const DAMAGED = { code: 1, error: /error: The store sqlite:\S+ is damaged/, hint: /restore the last backup/ }

  test.each<[string, (path: string) => void]>([
    ['whose pages are overwritten', (path) => overwrite(path, 8)],
    ['that is cut off', (path) => writeFileSync(path, readFileSync(path).subarray(0, 30_000))],
    ['that is something else', (path) => writeFileSync(path, 'These are my notes. '.repeat(500))],
  ])('a file %s: every command says so, and changes nothing', async (_what, damage) => {
    await using bench = await openBench()
    const { workshop, twin } = bench
    workshop.write('contacts.jsonl', contacts(200))
    await workshop.holdfast(...runContacts, '--no-work')
    damage(workshop.path('holdfast.db'))
    for (const words of [['status'], ['worker', '--until-idle'], runContacts, ['audit']]) {
      expectClear(await workshop.holdfast(...words), DAMAGED)
    }
    const doctor = await workshop.holdfast('doctor', '--no-json')
    expect([doctor.code, doctor.stdout]).toEqual([1, expect.stringMatching(/BROKEN +store: .* is damaged/)])
    expect(twin.effects).toHaveLength(0)
  })

  test('of a newer version, or of another program: refused, and not touched', async () => {
    await using bench = await openBench()
    const { workshop } = bench
    await workshop.holdfast('migrate')
    changeStore(workshop, 'PRAGMA user_version = 99')
    for (const words of [['status'], ['migrate'], ['worker', '--until-idle']]) {
      const error = /The store sqlite:\S+ has schema version 99; this Holdfast knows versions up to \d/
      expectClear(await workshop.holdfast(...words), { code: 2, error, hint: 'A newer Holdfast has written it' })
    }
    changeStore(workshop, 'PRAGMA application_id = 1')
    const error = 'is a SQLite database of another program'
    expectClear(await workshop.holdfast('status'), { code: 1, error, hint: 'a file of its own for Holdfast' })
  })
})

/** Pages from this one on. */
function overwrite(path: string, fromPage: number): void {
  const file = readFileSync(path)
  file.fill('Z', fromPage * 4096)
  writeFileSync(path, file)
}

function changeStore(workshop: Workshop, sql: string): void {
  using database = new DatabaseSync(workshop.path('holdfast.db'))
  database.exec(sql)
}

describe('steps that are wrong', () => {
  const CONFIG = `import { definePipeline } from '${new URL('../../src/index.ts', import.meta.url).href}'

const cycle = {}
cycle.itself = cycle
export default {
  integrations: {},
  worker: { lease: '2s', poll: '50ms' },
  pipelines: [
    definePipeline('odd')
      .step('throws', { safe: true, maxAttempts: 1, run: () => { throw new Error('the rocket is upside down') } })
      .step('rejects', { safe: true, maxAttempts: 1, run: async () => { throw undefined } })
      .step('hangs', { safe: true, maxAttempts: 1, timeout: '200ms', run: () => new Promise(() => {}) })
      .step('hangs-halfway', { timeout: '200ms', run: () => new Promise(() => {}) })
      .step('gives-a-function', { safe: true, maxAttempts: 1, run: () => ({ answer: () => 42 }) })
      .step('gives-a-bigint', { safe: true, maxAttempts: 1, run: () => 42n })
      .step('gives-a-cycle', { safe: true, maxAttempts: 1, run: () => cycle })
      .step('gives-nothing', { run: () => {} })
      .step('good', { run: ({ input }) => input }),
  ],
}
`

  test(
    'one that throws, hangs or returns rubbish ends with a reason and a hint; the others go on',
    async () => {
      await using workshop = openWorkshop()
      workshop.write('holdfast.config.ts', CONFIG)
      workshop.write('in.jsonl', '{"number":1}\n{"number":2}\n')
      const ended = await workshop.holdfast('run', 'odd', '--input', 'in.jsonl')
      expect(ended.code).toBe(3)
      expect(jsonOf<RunResult>(ended).balance).toMatchObject({ accepted: 18, balanced: true })
      const groups = jsonOf<{ groups: { summary: string; hint: string; count: number }[] }>(
        await workshop.holdfast('dlq', 'groups'),
      ).groups
      const about = (step: string) => groups.find(({ summary }) => summary.includes(`step "${step}"`))
      const steps = ['throws', 'rejects', 'hangs-halfway', 'gives-a-bigint', 'gives-a-cycle']
      for (const step of steps) expect(about(step), step).toMatchObject({ count: 2, hint: expect.stringMatching(/\w/) })
      const { items } = jsonOf<{ items: { itemId: string; step: string; state: string; dueAtMs?: number }[] }>(
        await workshop.holdfast('items'),
      )
      const itemOf = (step: string) => items.find((item) => item.step === step)
      expect(itemOf('gives-nothing')?.state).toBe('succeeded')
      expect(itemOf('good')?.state).toBe('succeeded')
      expect(itemOf('hangs-halfway')?.state).toBe('unknown_outcome')
      // Time may heal it: it is tried again by itself, slowly, and needs no person yet.
      expect(itemOf('hangs')).toMatchObject({ state: 'dead_lettered', dueAtMs: expect.any(Number) })
      const thrown = itemOf('throws')?.itemId ?? ''
      expect((await workshop.holdfast('explain', thrown, '--no-json')).stdout).toContain('the rocket is upside down')
      await expectBalanced(workshop)
    },
    MINUTE_MS,
  )
})
