/** `holdfast run` and what follows it, in real processes: again, corrected, killed, interrupted. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { HOLDFAST_PROGRAM, openWorkshop, type Workshop } from '../../test/support/workshop.ts'
import { systemClock } from '../system/system-clock.ts'
import { systemRandom } from '../system/system-random.ts'
import { resource } from '../testing/twin/resource.ts'
import { startTwin, type Twin } from '../testing/twin/twin.ts'

describe('a file through a pipeline', () => {
  let twin: Twin
  let workshop: Workshop

  beforeEach(async () => {
    workshop = openWorkshop()
    twin = await startTwin({
      clock: systemClock,
      random: systemRandom,
      routes: resource('/contacts', { effectKey: 'email', required: ['email', 'name'], work: '20ms' }),
    })
    workshop.write(
      'holdfast.yaml',
      `integrations:
  crm:
    baseUrl: ${twin.url}
    retry: { base: 100ms, cap: 200ms }
    limits: { concurrency: 4 }
worker: { lease: 2s, poll: 100ms }
pipelines:
  create:
    steps:
      contact:
        integration: crm
        request: { method: POST, path: /contacts, body: "{{ input }}" }
        reconcile:
          request: { method: GET, path: /contacts, query: { email: "{{ input.email }}" } }
          found: "{{ answer.data.results[email = $$.input.email][0] }}"
`,
    )
  })
  afterEach(async () => {
    await workshop[Symbol.asyncDispose]()
    await twin.close()
  })

  function contacts(count: number): void {
    const rows = Array.from({ length: count }, (_, index) => `c${index}@example.com,Name ${index}`)
    workshop.write('contacts.csv', ['email,name', ...rows].join('\n'))
  }

  const run = (...more: string[]) => workshop.holdfast('run', 'create', '--input', 'contacts.csv', ...more)

  it('R079: the second run of the same file changes nothing', async () => {
    contacts(30)
    const first = await run()
    expect(first.code).toBe(0)
    expect(JSON.parse(first.stdout)).toMatchObject({
      batch: 'contacts.csv',
      counts: { read: 30, accepted: 30, known: 0, refused: 0 },
      balance: { accepted: 30, states: { succeeded: 30 }, balanced: true },
    })
    const second = await run()
    expect(second.code).toBe(0)
    expect(JSON.parse(second.stdout)).toMatchObject({ counts: { accepted: 0, known: 30 }, balance: { accepted: 30 } })
    expect(twin.effects).toHaveLength(30)
  })

  it('R108: bad rows are told by line and kept, the others go on, and a person is asked for (3)', async () => {
    workshop.write('contacts.csv', 'email,name\na@x.y,A\nb@x.y\nc@x.y,"C\n,No Key\nd@x.y,D\n')
    const { code, stdout, stderr } = await run('--key', 'email', '--rejected', 'bad.jsonl')
    expect(code).toBe(3)
    expect(JSON.parse(stdout)).toMatchObject({ counts: { read: 5, accepted: 2, refused: 3 } })
    expect(stderr).toContain('line 3: it has 1 fields, the header has 2')
    const kept = workshop
      .read('bad.jsonl')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { line: number })
    expect(kept.map(({ line }) => line)).toEqual([3, 4, 5])
    expect(twin.effects.map(({ key }) => key).sort()).toEqual(['a@x.y', 'd@x.y'])
  })

  it('dead letters: grouped, shown, corrected, replayed, seen to succeed (R134-R136)', async () => {
    workshop.write('contacts.jsonl', '{"email":"a@x.y"}\n{"email":"b@x.y"}\n{"email":"c@x.y","name":"C"}\n')
    const ran = await workshop.holdfast('run', 'create', '--input', 'contacts.jsonl', '--key', 'email')
    expect(ran.code).toBe(3)
    expect(ran.stderr).toContain('Next: holdfast dlq groups')

    const groups = await workshop.holdfast('dlq', 'groups')
    expect(groups.code).toBe(3)
    const [group] = (
      JSON.parse(groups.stdout) as { groups: { fingerprint: string; count: number; exampleItemId: string }[] }
    ).groups
    expect(group?.count).toBe(2)
    const shown = await workshop.holdfast('dlq', 'show', group?.exampleItemId ?? '', '--no-json')
    expect(shown.stdout).toContain('name')

    const replay = (...more: string[]) =>
      workshop.holdfast('dlq', 'replay', '--group', group?.fingerprint ?? '', '--patch', '{"name":"New"}', ...more)
    const plan = await replay('--dry-run')
    expect(JSON.parse(plan.stdout)).toMatchObject({ dryRun: true, replayed: 0, selected: 2 })
    const unsure = await replay()
    expect(unsure.code).toBe(2)
    expect(unsure.stderr).toContain('add --yes to replay 2 items')
    expect(twin.effects).toHaveLength(1)

    const done = await replay('--yes', '--canary', '1', '--wait')
    expect(done.code).toBe(0)
    expect(JSON.parse(done.stdout)).toMatchObject({ replayed: 2, ends: { succeeded: 2 } })
    expect(twin.effects.map(({ key }) => key).sort()).toEqual(['a@x.y', 'b@x.y', 'c@x.y'])
    expect((await workshop.holdfast('audit')).code).toBe(0)
  })

  it('discarding needs a reason, and --yes for more than one', async () => {
    workshop.write('contacts.jsonl', '{"email":"a@x.y"}\n{"email":"b@x.y"}\n')
    await workshop.holdfast('run', 'create', '--input', 'contacts.jsonl')
    expect((await workshop.holdfast('dlq', 'discard', '--all')).stderr).toContain("required option '--reason <text>'")
    expect((await workshop.holdfast('dlq', 'discard', '--reason', 'x')).stderr).toContain('Nothing is chosen')
    expect((await workshop.holdfast('dlq', 'discard', '--all', '--reason', 'x')).code).toBe(2)
    const done = await workshop.holdfast('dlq', 'discard', '--all', '--reason', 'test data', '--yes')
    expect([done.code, JSON.parse(done.stdout)]).toMatchObject([0, { discarded: 2 }])
    expect(JSON.parse((await workshop.holdfast('status')).stdout)).toMatchObject({
      balance: { states: { discarded: 2 } },
    })
  })

  it('suspending holds everything, resuming lets it go on', async () => {
    contacts(3)
    await run('--no-work')
    const suspended = await workshop.holdfast('integrations', 'suspend', 'crm', '--reason', 'new key')
    expect(JSON.parse(suspended.stdout)).toMatchObject({ suspended: ['crm/default'] })
    await workshop.holdfast('worker', '--until-idle')
    expect(twin.effects).toHaveLength(0)
    await workshop.holdfast('integrations', 'resume', 'crm')
    await workshop.holdfast('worker', '--until-idle')
    expect(twin.effects).toHaveLength(3)
  })

  it('reads stdin', async () => {
    workshop.write('two.jsonl', '{"email":"a@x.y","name":"A"}\n{"email":"b@x.y","name":"B"}')
    const command = `"${process.execPath}" "${HOLDFAST_PROGRAM}" run create --input - --format jsonl --key email < two.jsonl`
    const { code, stdout } = await workshop.spawn('sh', ['-c', command]).ended
    expect([code, JSON.parse(stdout)]).toMatchObject([0, { batch: 'stdin', balance: { states: { succeeded: 2 } } }])
  })

  it('retention: the worker forgets what ended long ago, and the books still balance', async () => {
    contacts(3)
    await run()
    workshop.write('holdfast.yaml', `${workshop.read('holdfast.yaml')}retention: 1ms\n`)
    const { stderr } = await workshop.holdfast('worker', '--until-idle')
    expect(stderr).toContain('Forgot 3 ended runs')
    expect(JSON.parse((await workshop.holdfast('items')).stdout)).toMatchObject({ items: [] })
    expect(JSON.parse((await workshop.holdfast('audit')).stdout)).toMatchObject({
      balanced: true,
      balance: { accepted: 3 },
    })
  })

  it('killed without warning and run again, it goes on: nothing lost, nothing done twice', async () => {
    contacts(200)
    const first = workshop.start('run', 'create', '--input', 'contacts.csv')
    await twinHas(twin, 40)
    first.child.kill('SIGKILL')
    await first.ended
    const second = await run()
    expect(second.code).toBe(0)
    expect(JSON.parse(second.stdout)).toMatchObject({ balance: { accepted: 200, states: { succeeded: 200 } } })
    expect(new Set(twin.effects.map(({ key }) => key)).size).toBe(200)
    expect(twin.duplicates()).toEqual([])
    expect((await workshop.holdfast('audit')).code).toBe(0)
  })

  it('Ctrl-C is answered at once, ends with 130, and the same command goes on', async () => {
    contacts(200)
    const first = workshop.start('run', 'create', '--input', 'contacts.csv')
    await twinHas(twin, 20)
    const answered = first.says('everything is in the store; the same command goes on')
    first.child.kill('SIGINT')
    await answered
    const { code, stdout } = await first.ended
    expect(code).toBe(130)
    expect(JSON.parse(stdout)).toMatchObject({ interrupted: true, balance: { balanced: true } })
    expect(twin.effects.length).toBeLessThan(200)
    expect((await run()).code).toBe(0)
    expect(twin.effects).toHaveLength(200)
    expect(twin.duplicates()).toEqual([])
  })

  it.each<[string, string[], string]>([
    ['an unknown pipeline', ['run', 'crate', '--input', 'contacts.csv'], 'There is no pipeline "crate"'],
    ['a missing file', ['run', 'create', '--input', 'no.csv'], 'no.csv cannot be read'],
    ['a folder', ['run', 'create', '--input', '.', '--format', 'csv'], 'it is a folder'],
    ['an unknown format', ['run', 'create', '--input', 'contacts.xlsx'], 'does not tell the format'],
    [
      'a wrong key',
      ['run', 'create', '--input', 'contacts.csv', '--key', '{{ a. }}'],
      'is not a usable JSONata expression',
    ],
    ['an unknown integration', ['integrations', 'suspend', 'cmr', '--reason', 'x'], 'There is no integration "cmr"'],
    ['no verdict', ['dlq', 'resolve', 'x.y'], 'did it happen?'],
    ['a wrong patch', ['dlq', 'replay', 'x.y', '--patch', '{'], '--patch:'],
  ])('%s is wrong usage (2)', async (_what, words, message) => {
    contacts(1)
    const { code, stderr } = await workshop.holdfast(...words)
    expect(stderr).toContain(message)
    expect(code).toBe(2)
    expect(twin.effects).toHaveLength(0)
  })

  it('an item that is not there is a failure (1)', async () => {
    for (const words of [
      ['item', 'x.y'],
      ['explain', 'x.y'],
      ['dlq', 'show', 'x.y'],
    ]) {
      const { code, stderr } = await workshop.holdfast(...words)
      expect([code, stderr.includes('There is no item "x.y"')]).toEqual([1, true])
    }
  })
})

function twinHas(twin: Twin, effects: number): Promise<void> {
  return twin.until(() => twin.effects.length >= effects)
}
