/** The command line as a person or a script meets it: real processes. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../system/system-clock.ts'
import { systemRandom } from '../system/system-random.ts'
import { resource } from '../testing/twin/resource.ts'
import { startTwin, type Twin } from '../testing/twin/twin.ts'
import { CATALOGUE } from './catalogue.ts'

const BIN = fileURLToPath(new URL('../../bin/holdfast.mjs', import.meta.url))

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-cli-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

function start(...words: string[]): {
  child: ChildProcess
  ended: Promise<Ended>
  stderrHas: (text: string) => Promise<void>
} {
  const child = spawn(process.execPath, [BIN, ...words], { cwd: folder, env: { PATH: process.env['PATH'] } })
  let stdout = ''
  let stderr = ''
  const waiting: { text: string; resolve: () => void }[] = []
  child.stdout.on('data', (piece) => {
    stdout += piece
  })
  child.stderr.on('data', (piece) => {
    stderr += piece
    for (const { text, resolve } of waiting) if (stderr.includes(text)) resolve()
  })
  const ended = new Promise<Ended>((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })))
  const stderrHas = (text: string) => new Promise<void>((resolve) => waiting.push({ text, resolve }))
  return { child, ended, stderrHas }
}

const holdfast = (...words: string[]) => start(...words).ended

function write(name: string, text: string): void {
  writeFileSync(join(folder, name), text)
}

describe('help and wrong usage', () => {
  it('--help names every command, on stdout', async () => {
    const { code, stdout, stderr } = await holdfast('--help')
    expect([code, stderr]).toEqual([0, ''])
    for (const { term } of CATALOGUE) expect(stdout).toContain(term)
    expect(stdout).toContain('Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but something needs a person')
  })

  it.each(CATALOGUE.map(({ name }) => name))(
    '%s --help describes it, with examples and common options',
    async (name) => {
      const { code, stdout } = await holdfast(name, '--help')
      expect(code).toBe(0)
      expect(stdout).toContain(`Usage: holdfast ${name}`)
      expect(stdout).toContain('Examples:')
      expect(stdout).toContain(`$ holdfast ${name}`)
    },
  )

  it('the help command does the same, for parts of commands too', async () => {
    expect((await holdfast('help', 'run')).stdout).toContain('--input <file>')
    expect((await holdfast('dlq', 'replay', '--help')).stdout).toContain('--canary <count>')
  })

  it('an old Node gets one clear line', async () => {
    const pretend = 'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.20.2" } })'
    const child = spawn(process.execPath, [
      '--import',
      `data:text/javascript,${encodeURIComponent(pretend)}`,
      BIN,
      'status',
    ])
    let stderr = ''
    child.stderr.on('data', (piece) => {
      stderr += piece
    })
    const code = await new Promise((resolve) => child.on('close', resolve))
    expect(code).toBe(1)
    expect(stderr).toMatch(/^holdfast needs Node 22\.19 or newer; this is .*\n$/)
  })

  it('--version is the version of the package', async () => {
    const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string
    }
    expect((await holdfast('--version')).stdout).toBe(`${manifest.version}\n`)
  })

  it.each<[string, string[], string]>([
    ['nothing', [], 'Usage: holdfast'],
    ['an unknown command', ['statsu'], "unknown command 'statsu'"],
    ['an unknown option', ['status', '--jsno'], 'Did you mean --json?'],
    ['a missing argument', ['item'], "missing required argument 'id'"],
    ['a missing option', ['run', 'p'], "required option '--input <file>' not specified"],
    ['no number', ['items', '--limit', 'many'], 'Expected a whole number above zero'],
    ['no state', ['items', '--state', 'stuck'], '"stuck" is not a state'],
    ['no label', ['status', '--label', 'x'], 'Expected NAME=VALUE'],
    ['an option before the command', ['--json', 'status'], "unknown option '--json'"],
  ])('%s is wrong usage (2), told on stderr with where to look', async (_what, words, message) => {
    const { code, stdout, stderr } = await holdfast(...words)
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain(message)
    expect(stderr).toMatch(/holdfast .*--help/)
  })
})

describe('configuration', () => {
  it('a missing one is told with what to do (2)', async () => {
    const { code, stdout, stderr } = await holdfast('status')
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain('error: There is no configuration in')
    expect(stderr).toContain('hint:  Run `holdfast init`')
    expect(stderr).not.toContain('    at ')
  })

  it('a wrong one is told with line, path and nearest name; as JSON with --json; with a stack with --verbose', async () => {
    write('holdfast.yaml', 'integrations:\n  crm:\n    baseUrl: https://x.y\n    retyr: {}\n')
    const text = await holdfast('status')
    expect(text.code).toBe(2)
    expect(text.stderr).toContain('line 4, integrations.crm.retyr: unknown key; did you mean "retry"?')
    const json = JSON.parse((await holdfast('status', '--json')).stderr) as { error: object }
    expect(json.error).toMatchObject({ code: 'invalid_config', details: { problems: [{ line: 4 }] } })
    expect((await holdfast('status', '--verbose')).stderr).toContain('    at ')
  })

  it('a credential that is not set does no harm to looking, and stops sending', async () => {
    const auth = 'auth: { type: bearer, token: "${NO_SUCH_TOKEN}" }'
    write('holdfast.yaml', `integrations: { crm: { baseUrl: "http://127.0.0.1:9", ${auth} } }`)
    expect((await holdfast('status')).code).toBe(0)
    const worker = await holdfast('worker', '--until-idle')
    expect(worker.code).toBe(2)
    expect(worker.stderr).toContain('NO_SUCH_TOKEN is not set')
  })

  it('a store alone is enough to look at it', async () => {
    const { code, stdout } = await holdfast('status', '--store', 'sqlite:other.db')
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ balance: { accepted: 0, balanced: true }, needsPerson: 0 })
  })
})

describe('init', () => {
  it('makes a configuration that loads, and never replaces files by itself', async () => {
    expect((await holdfast('init')).code).toBe(0)
    expect((await holdfast('status')).code).toBe(0)
    const again = await holdfast('init')
    expect(again.code).toBe(2)
    expect(again.stderr).toContain('Already here: holdfast.yaml')
    expect(
      (await holdfast('init', '--force', '--integration', 'my-api', '--base-url', 'https://api.example.com')).code,
    ).toBe(0)
    expect(JSON.parse((await holdfast('integrations')).stdout)).toMatchObject({
      integrations: [{ name: 'my-api', baseUrl: 'https://api.example.com' }],
    })
  })
})

describe('a file through a pipeline', () => {
  let twin: Twin

  beforeEach(async () => {
    twin = await startTwin({
      clock: systemClock,
      random: systemRandom,
      routes: resource('/contacts', { effectKey: 'email', required: ['email', 'name'], work: '20ms' }),
    })
    write(
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
    await twin.close()
  })

  function contacts(count: number): void {
    const rows = Array.from({ length: count }, (_, index) => `c${index}@example.com,Name ${index}`)
    write('contacts.csv', ['email,name', ...rows].join('\n'))
  }

  const run = (...more: string[]) => holdfast('run', 'create', '--input', 'contacts.csv', ...more)

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
    write('contacts.csv', 'email,name\na@x.y,A\nb@x.y\nc@x.y,"C\n,No Key\nd@x.y,D\n')
    const { code, stdout, stderr } = await run('--key', 'email', '--rejected', 'bad.jsonl')
    expect(code).toBe(3)
    expect(JSON.parse(stdout)).toMatchObject({ counts: { read: 5, accepted: 2, refused: 3 } })
    expect(stderr).toContain('line 3: it has 1 fields, the header has 2')
    const kept = readFileSync(join(folder, 'bad.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { line: number })
    expect(kept.map(({ line }) => line)).toEqual([3, 4, 5])
    expect(twin.effects.map(({ key }) => key).sort()).toEqual(['a@x.y', 'd@x.y'])
  })

  it('dead letters: grouped, shown, corrected, replayed, seen to succeed (R134-R136)', async () => {
    write('contacts.jsonl', '{"email":"a@x.y"}\n{"email":"b@x.y"}\n{"email":"c@x.y","name":"C"}\n')
    const ran = await holdfast('run', 'create', '--input', 'contacts.jsonl', '--key', 'email')
    expect(ran.code).toBe(3)
    expect(ran.stderr).toContain('Next: holdfast dlq groups')

    const groups = await holdfast('dlq', 'groups')
    expect(groups.code).toBe(3)
    const [group] = (
      JSON.parse(groups.stdout) as { groups: { fingerprint: string; count: number; exampleItemId: string }[] }
    ).groups
    expect(group?.count).toBe(2)
    const shown = await holdfast('dlq', 'show', group?.exampleItemId ?? '', '--no-json')
    expect(shown.stdout).toContain('name')

    const replay = (...more: string[]) =>
      holdfast('dlq', 'replay', '--group', group?.fingerprint ?? '', '--patch', '{"name":"New"}', ...more)
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
    expect((await holdfast('audit')).code).toBe(0)
  })

  it('discarding needs a reason, and --yes for more than one', async () => {
    write('contacts.jsonl', '{"email":"a@x.y"}\n{"email":"b@x.y"}\n')
    await holdfast('run', 'create', '--input', 'contacts.jsonl')
    expect((await holdfast('dlq', 'discard', '--all')).stderr).toContain("required option '--reason <text>'")
    expect((await holdfast('dlq', 'discard', '--reason', 'x')).stderr).toContain('Nothing is chosen')
    expect((await holdfast('dlq', 'discard', '--all', '--reason', 'x')).code).toBe(2)
    const done = await holdfast('dlq', 'discard', '--all', '--reason', 'test data', '--yes')
    expect([done.code, JSON.parse(done.stdout)]).toMatchObject([0, { discarded: 2 }])
    expect(JSON.parse((await holdfast('status')).stdout)).toMatchObject({ balance: { states: { discarded: 2 } } })
  })

  it('suspending holds everything, resuming lets it go on', async () => {
    contacts(3)
    await run('--no-work')
    const suspended = await holdfast('integrations', 'suspend', 'crm', '--reason', 'new key')
    expect(JSON.parse(suspended.stdout)).toMatchObject({ suspended: ['crm/default'] })
    await holdfast('worker', '--until-idle')
    expect(twin.effects).toHaveLength(0)
    await holdfast('integrations', 'resume', 'crm')
    await holdfast('worker', '--until-idle')
    expect(twin.effects).toHaveLength(3)
  })

  it('reads stdin', async () => {
    const running = start('run', 'create', '--input', '-', '--format', 'jsonl', '--key', 'email')
    running.child.stdin?.end('{"email":"a@x.y","name":"A"}\n{"email":"b@x.y","name":"B"}')
    const { code, stdout } = await running.ended
    expect([code, JSON.parse(stdout)]).toMatchObject([0, { batch: 'stdin', balance: { states: { succeeded: 2 } } }])
  })

  it('retention: the worker forgets what ended long ago, and the books still balance', async () => {
    contacts(3)
    await run()
    writeFileSync(
      join(folder, 'holdfast.yaml'),
      `${readFileSync(join(folder, 'holdfast.yaml'), 'utf8')}retention: 1ms\n`,
    )
    const { stderr } = await holdfast('worker', '--until-idle')
    expect(stderr).toContain('Forgot 3 ended runs')
    expect(JSON.parse((await holdfast('items')).stdout)).toMatchObject({ items: [] })
    expect(JSON.parse((await holdfast('audit')).stdout)).toMatchObject({ balanced: true, balance: { accepted: 3 } })
  })

  it('killed without warning and run again, it goes on: nothing lost, nothing done twice', async () => {
    contacts(200)
    const first = start('run', 'create', '--input', 'contacts.csv')
    await twinHas(twin, 40)
    first.child.kill('SIGKILL')
    await first.ended
    const second = await run()
    expect(second.code).toBe(0)
    expect(JSON.parse(second.stdout)).toMatchObject({ balance: { accepted: 200, states: { succeeded: 200 } } })
    expect(new Set(twin.effects.map(({ key }) => key)).size).toBe(200)
    expect(twin.duplicates()).toEqual([])
    expect((await holdfast('audit')).code).toBe(0)
  })

  it('Ctrl-C is answered at once, ends with 130, and the same command goes on', async () => {
    contacts(200)
    const first = start('run', 'create', '--input', 'contacts.csv')
    await twinHas(twin, 20)
    const answered = first.stderrHas('everything is in the store; the same command goes on')
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
    const { code, stderr } = await holdfast(...words)
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
      const { code, stderr } = await holdfast(...words)
      expect([code, stderr.includes('There is no item "x.y"')]).toEqual([1, true])
    }
  })
})

describe('twin', () => {
  it('runs from a file until Ctrl-C, and tells what was done twice', async () => {
    write('crm.yaml', 'name: crm\nresources:\n  - { path: /contacts, effectKey: email }\n')
    const twin = start('twin', 'crm.yaml')
    await twin.stderrHas('Ctrl-C stops it')
    twin.child.kill('SIGINT')
    const { code, stdout } = await twin.ended
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ effects: 0, duplicates: [] })
  })

  it('a wrong file is wrong usage', async () => {
    write('crm.yaml', 'resource: []\n')
    const { code, stderr } = await holdfast('twin', 'crm.yaml')
    expect(code).toBe(2)
    expect(stderr).toContain('did you mean "resources"?')
    expect((await holdfast('twin', 'no.yaml')).code).toBe(2)
  })
})

function twinHas(twin: Twin, effects: number): Promise<void> {
  return twin.until(() => twin.effects.length >= effects)
}
