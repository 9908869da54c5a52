/** The command line as a person or a script meets it: real processes. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
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
  stderr: () => string
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
  return { child, ended, stderr: () => stderr, stderrHas }
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

  it('runs as a vendor, in its own words', async () => {
    const twin = start('twin', 'hubspot', '--limit', 'burst:2/10s', '--limit', 'daily:off', '--fail', 'hang:0%')
    await twin.stderrHas('Ctrl-C stops it')
    const [url = ''] = /http:[^ ]+\d/.exec(twin.stderr()) ?? []
    const headers = { authorization: 'Bearer x', 'x-twin-answer': 'locked' }
    expect((await fetch(`${url}/crm/v3/objects/contacts`, { headers })).status).toBe(423)
    expect(await (await fetch(`${url}/_twin/effects`)).json()).toEqual([])
    twin.child.kill('SIGINT')
    expect((await twin.ended).code).toBe(0)
  })

  it('lists the vendors; a wrong name, rule, share or limit is wrong usage', async () => {
    const { twins } = JSON.parse((await holdfast('twin', '--list')).stdout)
    expect(twins).toContainEqual(expect.objectContaining({ name: 'hubspot', limits: expect.any(Object) }))
    for (const words of [
      [],
      ['hubspott'],
      ['hubspot', '--fail', 'lockd:1%'],
      ['hubspot', '--fail', 'locked'],
      ['hubspot', '--limit', 'burst'],
    ]) {
      expect((await holdfast('twin', ...words)).code).toBe(2)
    }
  })

  it('a wrong file is wrong usage', async () => {
    write('crm.yaml', 'resource: []\n')
    const { code, stderr } = await holdfast('twin', 'crm.yaml')
    expect(code).toBe(2)
    expect(stderr).toContain('did you mean "resources"?')
    expect((await holdfast('twin', 'no.yaml')).code).toBe(2)
  })
})
