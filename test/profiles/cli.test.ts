/** `holdfast profiles`, run in this process on a host of its own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Host, Screen } from '../../src/cli/host.ts'
import { runCommandLine } from '../../src/cli/main.ts'
import { BUILT_IN_PROFILES } from '../../src/profiles/index.ts'
import { createVirtualClock } from '../../src/testing/virtual-clock.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-profiles-'))
})
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

async function holdfast(...words: string[]) {
  const written = { stdout: '', stderr: '' }
  const screen = (name: keyof typeof written): Screen => ({
    isTerminal: false,
    width: 200,
    write(text) {
      written[name] += text
    },
  })
  const host: Host = {
    stdout: screen('stdout'),
    stderr: screen('stderr'),
    directory: folder,
    env: {},
    clock: createVirtualClock({ startMs: Date.UTC(2026, 10, 22) }),
    person: 'cli:ada',
    machine: 'test',
    onInterrupt: () => ({ [Symbol.dispose]: () => undefined }),
    exit: () => expect.fail('it ends by itself'),
  }
  const code = await runCommandLine(words, host)
  return { code, ...written }
}

const EXISTS = '{"status":"error","message":"Contact already exists. Existing ID: 7","category":"CONFLICT"}'

describe('without any configuration', () => {
  test('list: every vendor, with how sure its rules are', async () => {
    const { code, stdout } = await holdfast('profiles')
    const { profiles } = JSON.parse(stdout) as { profiles: { name: string; rules: number }[] }
    expect(code).toBe(0)
    expect(profiles.map(({ name }) => name)).toEqual(BUILT_IN_PROFILES.map(({ name }) => name))
    expect((await holdfast('profiles', 'list', '--no-json')).stdout).toMatch(/hubspot +HubSpot +\d+/)
  })

  test('show: the decision table, each rule with its source, then the default rows', async () => {
    const { code, stdout } = await holdfast('profiles', 'show', 'hubspot', '--no-json')
    expect(code).toBe(0)
    expect(stdout).toMatch(/locked +423 +transient +not_sent +as the answer says; at least 2s +\[\d\]/)
    expect(stdout).toMatch(/\[1\] https:\/\/developers\.hubspot[^\n]+read 2026-11-22/)
    expect(stdout).toMatch(/Then, by default:[\s\S]+404 +not_found/)
    expect(stdout, 'decided by a rule whatever else it says').not.toMatch(/^ *423 /m)
    const shown = JSON.parse((await holdfast('profiles', 'show', 'hubspot', '--json')).stdout)
    expect(shown).toMatchObject({ profile: { name: 'hubspot' }, rules: expect.any(Array), defaults: expect.any(Array) })
  })

  test('test: which rule decides an answer, and what follows', async () => {
    const words = ['profiles', 'test', 'hubspot', '--status', '409', '--body', EXISTS, '--method', 'post']
    const { code, stdout } = await holdfast(...words)
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      rule: { id: 'contact-exists' },
      failure: { class: 'conflict', code: 'already_exists', certainty: 'not_sent' },
      disposition: { kind: 'dead_letter' },
    })
    expect((await holdfast(...words, '--no-json')).stdout).toMatch(
      /decided by +profile hubspot: contact-exists \(https:/,
    )
  })

  test('test: headers count, a body can be a file or no JSON, and an answer may be good', async () => {
    writeFileSync(join(folder, 'body.json'), EXISTS)
    const judged = async (...words: string[]) =>
      JSON.parse((await holdfast('profiles', 'test', 'hubspot', ...words)).stdout)
    expect(await judged('--status', '409', '--body', 'body.json')).toMatchObject({ rule: { id: 'contact-exists' } })
    expect(await judged('--status', '477', '--header', 'Retry-After: 7')).toMatchObject({
      failure: { retryAfterMs: 7000 },
    })
    expect(await judged('--status', '502', '--body', '<html>')).toMatchObject({ rule: { id: 'gateway-busy' } })
    expect(await judged('--status', '200', '--body', '{}')).toEqual({ rule: null, failure: null, disposition: null })
  })

  test('test without an answer: all that were recorded', async () => {
    const { code, stdout } = await holdfast('profiles', 'test')
    expect([code, JSON.parse(stdout).wrong]).toEqual([0, []])
  })

  test.each([
    ['a wrong name', ['profiles', 'show', 'hubspott'], 1, 'did you mean "hubspot"?'],
    ['no name', ['profiles', 'test', '--status', '500'], 2, 'Name a profile or an integration'],
    ['no status', ['profiles', 'test', 'hubspot', '--status', '5'], 2, 'three digits'],
    ['no such file', ['profiles', 'test', 'hubspot', '--status', '500', '--body', 'none.json'], 2, 'none.json'],
    ['no such configuration', ['profiles', '--config', 'none.yaml'], 2, 'none.yaml'],
  ])('%s is told as such', async (_what, words, code, message) => {
    const ended = await holdfast(...words)
    expect([ended.code, ended.stderr]).toEqual([code, expect.stringContaining(message)])
  })
})

test('with a configuration: its integrations, their own rules first; a wrong sample fails', async () => {
  const source = '{ url: https://a.example, read: "2026-11-22", certainty: vendor }'
  writeFileSync(
    join(folder, 'own.yaml'),
    `profiles:
  - name: mine
    title: Mine
    docs: [https://a.example]
    rules: [{ id: gone, status: 410, class: success, hint: It is gone., source: ${source} }]
    samples: { gone: [{ status: 404 }] }
integrations:
  crm:
    profile: hubspot
    errors: [{ id: ours, status: 409, message: already exists, class: success }]
`,
  )
  const own = ['--config', 'own.yaml']
  const judged = await holdfast('profiles', 'test', 'crm', '--status', '409', '--body', EXISTS, ...own)
  expect(JSON.parse(judged.stdout)).toMatchObject({ rule: { id: 'ours' }, failure: null })
  const shown = await holdfast('profiles', 'show', 'crm', '--no-json', ...own)
  expect(shown.stdout).toMatch(/rule[^\n]*\n *ours +409; message has "already exists" +success/)
  const tested = await holdfast('profiles', 'test', 'mine', '--no-json', ...own)
  expect(tested.code).toBe(1)
  expect(tested.stdout).toContain('mine: an answer of gone is decided by the default table')
})
