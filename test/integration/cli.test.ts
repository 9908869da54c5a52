/** The contract of the commands after a real run that left dead letters: JSON for scripts, text for people, exit codes. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CATALOGUE } from '../../src/cli/catalogue.ts'
import type { DeadLetterGroup, ItemSummary } from '../../src/ledger/port.ts'
import { systemClock } from '../../src/system/system-clock.ts'
import { systemRandom } from '../../src/system/system-random.ts'
import { resource } from '../../src/testing/twin/resource.ts'
import { startTwin, type Twin } from '../../src/testing/twin/twin.ts'
import { type Ended, HOLDFAST_PROGRAM, jsonOf, openWorkshop, type Workshop } from '../support/workshop.ts'

const MINUTE_MS = 60_000

interface Aftermath extends AsyncDisposable {
  readonly workshop: Workshop
  readonly twin: Twin
  /** By record: `incomplete-1`, ... */
  itemOf(key: string): string
}

/** Four contacts, three of them refused, and a message of which nobody knows whether it was sent. */
async function runThatLeavesDeadLetters(): Promise<Aftermath> {
  const workshop = openWorkshop()
  const twin = await startTwin({
    clock: systemClock,
    random: systemRandom,
    routes: [
      ...resource('/contacts', { effectKey: 'email', required: ['email', 'name'] }),
      ...resource('/messages', { effectKey: 'email' }),
    ],
  })
  workshop.write('holdfast.yaml', configuration(twin.url))
  const contacts = [
    { email: 'complete', name: 'Ada' },
    ...[1, 2, 3].map((number) => ({ email: `incomplete-${number}` })),
  ]
  workshop.write('contacts.jsonl', contacts.map((contact) => JSON.stringify(contact)).join('\n'))
  workshop.write('messages.jsonl', '{"email":"lost"}\n')
  twin.script('POST /messages', ['executed_then_reset'])
  for (const [pipeline, file] of [
    ['create', 'contacts.jsonl'],
    ['send', 'messages.jsonl'],
  ] as const) {
    const { code } = await workshop.holdfast('run', pipeline, '--input', file, '--key', 'email')
    expect(code).toBe(3)
  }
  const items = jsonOf<{ items: ItemSummary[] }>(await workshop.holdfast('items')).items
  return {
    workshop,
    twin,
    itemOf: (key) => items.find((item) => item.key === key)?.itemId ?? '',
    async [Symbol.asyncDispose]() {
      await workshop[Symbol.asyncDispose]()
      await twin.close()
    },
  }
}

function configuration(url: string): string {
  return `integrations:
  crm: { baseUrl: "${url}" }
pipelines:
  create:
    steps: { contact: { integration: crm, request: { method: POST, path: /contacts, body: "{{ input }}" } } }
  send:
    steps: { message: { integration: crm, request: { method: POST, path: /messages, body: "{{ input }}" } } }
`
}

describe('commands that only look', () => {
  let after: Aftermath
  beforeAll(async () => {
    after = await runThatLeavesDeadLetters()
  })
  afterAll(() => after[Symbol.asyncDispose]())

  const INCOMPLETE = 'ITEM'

  test.each<{ words: string[]; code: number; json: object; text: RegExp }>([
    {
      words: ['status'],
      code: 3,
      json: { needsPerson: 4, balance: { accepted: 5, balanced: true }, groups: [{ count: 3 }, { count: 1 }] },
      text: /dead_lettered +3[\s\S]*5 in all = 5 accepted: the books balance/,
    },
    {
      words: ['audit'],
      code: 0,
      json: { balanced: true, batches: [{}, {}] },
      text: /ok +each item is in a known state/,
    },
    { words: ['items', '--state', 'dead_lettered'], code: 0, json: { cursor: null }, text: /incomplete-1/ },
    {
      words: ['item', INCOMPLETE],
      code: 0,
      json: { state: 'dead_lettered', key: 'incomplete-1', counters: { attempts: 1 } },
      text: /incomplete-1/,
    },
    {
      words: ['explain', INCOMPLETE],
      code: 0,
      json: { headline: expect.stringContaining('dead letter'), hint: expect.stringContaining('name') },
      text: /hint: .*name/,
    },
    { words: ['dlq', 'list'], code: 0, json: { cursor: null }, text: /unknown_outcome/ },
    {
      words: ['profiles', 'suggest'],
      code: 0,
      json: {
        suggestions: [{ integration: 'crm', count: 3, code: 'validation_failed', rule: { class: 'validation' } }],
      },
      text: /crm: 3 times 4\d\d validation_failed[\s\S]+errors:\n +- id: validation-failed/,
    },
    { words: ['dlq', 'groups'], code: 3, json: { groups: [{ count: 3 }, { count: 1 }] }, text: /validation_failed/ },
    {
      words: ['dlq', 'show', INCOMPLETE],
      code: 0,
      json: { item: { key: 'incomplete-1' }, explanation: { next: expect.any(String) } },
      text: /replay/,
    },
    { words: ['breakers'], code: 0, json: { breakers: expect.any(Array) }, text: /\w/ },
    { words: ['integrations'], code: 0, json: { integrations: [{ name: 'crm' }] }, text: /crm +http/ },
    {
      words: ['doctor'],
      code: 3,
      json: { findings: expect.any(Array) },
      text: /attention dead letters: 4 need a person/,
    },
    { words: ['migrate'], code: 0, json: { store: expect.stringContaining('sqlite:') }, text: /Up to date/ },
  ])('$words: JSON for scripts, text for people', async ({ words, code, json, text }) => {
    const named = words.map((word) => (word === INCOMPLETE ? after.itemOf('incomplete-1') : word))
    const [asJson, inPipe, asText] = await Promise.all([
      after.workshop.holdfast(...named, '--json'),
      after.workshop.holdfast(...named),
      after.workshop.holdfast(...named, '--no-json'),
    ])
    expect(jsonOf<object>(asJson)).toMatchObject(json)
    expect(jsonOf<object>(inPipe)).toMatchObject(json)
    expect(asText.stdout).toMatch(text)
    expect(asText.stdout).not.toMatch(/^\s*[{[]|undefined|\[object|NaN/)
    expect([asJson.code, inPipe.code, asText.code]).toEqual([code, code, code])
  })

  test('what needs a person ends with the next command to type', async () => {
    for (const words of [['status'], ['dlq', 'groups'], ['doctor']]) {
      expect((await after.workshop.holdfast(...words)).stderr).toMatch(/Next: holdfast \w+/)
    }
  })

  test('dlq export writes one JSON object per dead letter, with payload and attempts', async () => {
    const { code, stdout } = await after.workshop.holdfast('dlq', 'export', '--pipeline', 'create')
    const lines = stdout.trim().split('\n')
    const exported = lines.map((line) => JSON.parse(line) as { key: string; input: unknown; attempts: unknown[] })
    expect(exported.map(({ key }) => key).sort()).toEqual(['incomplete-1', 'incomplete-2', 'incomplete-3'])
    for (const { key, input, attempts } of exported) {
      expect(input).toEqual({ email: key })
      expect(attempts).toHaveLength(1)
    }
    expect(code).toBe(0)
  })
})

describe('commands that put it right', () => {
  test(
    'R134-R137: suspend, replay a group corrected, discard one, give a verdict, resume: nothing is left',
    async () => {
      await using after = await runThatLeavesDeadLetters()
      const { workshop, twin, itemOf } = after
      const suspended = await workshop.holdfast('integrations', 'suspend', 'crm', '--reason', 'new credential')
      expectDone(suspended, { suspended: ['crm/default'] })

      const one = itemOf('incomplete-3')
      const discarded = await workshop.holdfast('dlq', 'discard', one, '--reason', 'test record')
      expectDone(discarded, { selected: 1, discarded: 1, refused: [] })

      const [group] = jsonOf<{ groups: DeadLetterGroup[] }>(
        await workshop.holdfast('dlq', 'groups', '--pipeline', 'create'),
      ).groups
      const replay = ['dlq', 'replay', '--group', group?.fingerprint ?? '', '--patch', '{"name":"Grace"}']
      expectDone(await workshop.holdfast(...replay, '--dry-run'), { dryRun: true, selected: 2, replayed: 0 })
      expectDone(await workshop.holdfast(...replay, '--yes'), { job: { phase: 'running', counts: { waiting: 2 } } })
      expect(twin.effects.map(({ key }) => key)).toEqual(['complete', 'lost'])

      const resolve = ['dlq', 'resolve', itemOf('lost'), '--happened', '--external-id', '4711']
      expectDone(await workshop.holdfast(...resolve), { outcome: 'done' })

      expectDone(await workshop.holdfast('integrations', 'resume', 'crm'), { resumed: ['crm/default'] })
      expectDone(await workshop.holdfast('worker', '--until-idle'), {
        balance: { accepted: 5, states: { succeeded: 4, discarded: 1 }, needsPerson: 0, balanced: true },
      })
      expect(twin.effects.map(({ key }) => key)).toEqual(['complete', 'lost', 'incomplete-1', 'incomplete-2'])
      expect(twin.duplicates()).toEqual([])
      const item = jsonOf<object>(await workshop.holdfast('item', itemOf('incomplete-1')))
      expect(item).toMatchObject({ state: 'succeeded', counters: { replays: 1 }, input: { email: 'incomplete-1' } })
      for (const command of ['status', 'audit', 'doctor']) expect((await workshop.holdfast(command)).code).toBe(0)
    },
    MINUTE_MS,
  )

  test('breakers: that of an API nobody can reach is listed as open, and can be reset', async () => {
    await using after = await runThatLeavesDeadLetters()
    const { workshop, twin } = after
    // Each probe uses one, and a slow machine needs many seconds for what follows.
    const retry = '{ base: 10ms, cap: 20ms, maxAttempts: 20 }'
    const dead = `{ baseUrl: "http://127.0.0.1:9", retry: ${retry}, breaker: { open: 1s } }`
    const config = workshop.read('holdfast.yaml')
    workshop.write('holdfast.yaml', config.replace(/crm: \{.*/, `crm: ${dead}`))
    workshop.write('more.jsonl', [1, 2, 3].map((number) => `{"email":"more-${number}","name":"A"}`).join('\n'))
    const run = workshop.start('run', 'create', '--input', 'more.jsonl', '--key', 'email')
    await run.says('records')
    await breakerOpens(workshop)
    run.child.kill('SIGINT')
    expect((await run.ended).code).toBe(130)
    const listed = await workshop.holdfast('breakers', '--no-json')
    expect(listed.stdout).toMatch(/^crm +open/m)
    expectDone(await workshop.holdfast('breakers', 'reset', 'crm'), { reset: 'crm' })

    workshop.write('holdfast.yaml', config)
    await workshop.holdfast('worker', '--until-idle')
    expect(twin.has('more-3')).toBe(true)
    expect((await workshop.holdfast('breakers', 'reset', 'crm:POST /nothing')).code).toBe(1)
  })

  test('init makes a configuration that works at once with its twin; twin counts what it did', async () => {
    await using workshop = openWorkshop()
    expectDone(await workshop.holdfast('init', '--yes'), { files: ['holdfast.yaml', 'twin.yaml', 'contacts.csv'] })
    const twin = workshop.start('twin', 'twin.yaml')
    await twin.says('listens on')
    const url = /listens on (\S+?)\.? /.exec(twin.stderr())?.[1] ?? ''
    workshop.write('holdfast.yaml', workshop.read('holdfast.yaml').replace(/http:\/\/127\.0\.0\.1:\d+/, url))
    const run = await workshop.holdfast('run', 'create-contacts', '--input', 'contacts.csv', '--key', 'email')
    expect(run.code).toBe(3)
    expect(jsonOf<object>(run)).toMatchObject({
      counts: { accepted: 4, refused: 1 },
      balance: { states: { succeeded: 4 } },
    })
    twin.child.kill('SIGINT')
    expectDone(await twin.ended, { url, effects: 4, duplicates: [] })
  })
})

/** Seen by another process, as a person would: the breaker is shared through the store. */
async function breakerOpens(workshop: Workshop): Promise<void> {
  for (;;) {
    const ended = await workshop.holdfast('breakers')
    if (jsonOf<{ breakers: { phase: string }[] }>(ended).breakers.some(({ phase }) => phase === 'open')) return
  }
}

function expectDone(ended: Ended, result: object): void {
  expect(jsonOf<object>(ended)).toMatchObject(result)
  expect(ended.code).toBe(0)
}

describe('help', () => {
  test.each(CATALOGUE.map(({ name }) => name))(
    '%s: --help ends with examples that begin with its name',
    async (name) => {
      await using workshop = openWorkshop()
      const { code, stdout } = await workshop.holdfast(name, '--help')
      expect(code).toBe(0)
      expect(stdout).toMatch(new RegExp(`Examples:\\n +\\$ .*holdfast ${name}`))
    },
  )

  test('--help loads no engine, no store, no network and no schema library: it is there at once', async () => {
    await using workshop = openWorkshop()
    const recorder = new URL('./support/record-modules.mjs', import.meta.url).href
    const { stdout, stderr } = await workshop.spawn(process.execPath, [
      '--import',
      recorder,
      HOLDFAST_PROGRAM,
      '--help',
    ]).ended
    expect(stdout).toContain('Usage: holdfast')
    const loaded = stderr.trim().split('\n')
    expect(loaded.some((url) => url.includes('/commander/'))).toBe(true)
    const heavy = /node_modules\/(?!commander\/)|src\/(engine|ledger|client|policy|config|testing)\/|node:sqlite/
    expect(loaded.filter((url) => heavy.test(url))).toEqual([])
  })
})
