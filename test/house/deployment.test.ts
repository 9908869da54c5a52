/**
 * deploy/, as far as it can be checked without Docker or a running systemd: what the files say is what Holdfast understands.
 * What the Dockerfile makes is run by test/integration/image.test.ts.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { GRACE_MS } from '../../src/cli/interruption.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import { durationMs } from '../../src/core/duration.ts'
import { assertSafe } from '../../src/gateway/access.ts'
import { unknownWords } from '../support/command-words.ts'
import { type Instruction, instructionsOf, stagesOf } from '../support/dockerfile.ts'

const root = resolve(import.meta.dirname, '../..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')

/** The gateway, its worker, and some to close the store. */
const LONGEST_STOP_MS = 2 * GRACE_MS + 5000

interface Service {
  readonly image: string
  readonly command?: string[]
  readonly environment: Record<string, string>
  readonly volumes: string[]
  readonly ports?: string[]
  readonly depends_on?: Record<string, { condition: string }>
  readonly healthcheck: { test?: string[]; disable?: boolean }
  readonly stop_grace_period: '30s'
  readonly read_only?: boolean
  readonly cap_drop?: string[]
}

const dockerfile = instructionsOf(read('deploy/Dockerfile'))
const image = stagesOf(dockerfile).at(-1)?.instructions ?? []
const compose = parse(read('deploy/compose.yaml'), { merge: true }) as {
  services: Record<'gateway' | 'worker' | 'postgres', Service>
  volumes: Record<string, unknown>
}
const { gateway, worker, postgres } = compose.services
const unit = read('deploy/holdfast.service')

function last(name: string): Instruction {
  return image.findLast((one) => one.name === name) ?? expect.fail(`no ${name}`)
}

/** All values of a key of the unit, in order. */
function unitValues(key: string): string[] {
  return [...unit.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value = '']) => value)
}

const SERVED_BY_UNIT = unitValues('ExecStart')[0]?.split(' ') ?? []

describe('commands', () => {
  test('every command and option that deploy/ starts is one that Holdfast has', async () => {
    const started = [last('CMD').words, gateway.command, worker.command, SERVED_BY_UNIT.slice(2)]
    for (const words of started) expect(await unknownWords(words ?? []), words?.join(' ')).toEqual([])
    expect(await unknownWords(['serve', '--hots', 'x'])).toEqual(['--hots', 'x'])
    expect(await unknownWords(['srve'])).toEqual(['srve'])
  })

  test.each(['docs/docker.md', 'docs/compose.md', 'docs/systemd.md'])('so are those of %s', async (page) => {
    const blocks = [...read(page).matchAll(/^```\n([\s\S]+?)^```/gm)].map(([, block = '']) => block).join('\n')
    const lines = [...blocks.matchAll(/\bholdfast ((?!holdfast\b)[a-z]+(?: [^\n#|>]+)?)/g)]
    expect(lines.length).toBeGreaterThan(1)
    for (const [, line = ''] of lines) expect(await unknownWords(line.trim().split(/\s+/)), line).toEqual([])
    for (const [file] of read(page).matchAll(/deploy\/[A-Za-z.]+/g)) {
      // Written by the person who follows the page.
      if (file !== 'deploy/.env') expect(existsSync(join(root, file)), file).toBe(true)
    }
  })
})

describe('the image', () => {
  test('is on the Node that everything is tested with, which the package supports', () => {
    const { devDependencies } = JSON.parse(read('package.json')) as { devDependencies: Record<string, string> }
    const tested = devDependencies['node']?.split('.')[0]
    const bases = dockerfile.filter(({ name, words }) => name === 'FROM' && words[0]?.includes(':'))
    expect(bases.map(({ words }) => words[0])).toEqual([`node:${tested}-bookworm-slim`, `node:${tested}-bookworm-slim`])
  })

  test('is not root, and Node is process 1: no shell keeps SIGTERM from it', () => {
    expect(last('USER').text).toMatch(/^[1-9]\d*:[1-9]\d*$/)
    expect(last('ENTRYPOINT').words).toEqual(['holdfast'])
    for (const name of ['ENTRYPOINT', 'CMD']) expect(last(name).isExecForm, name).toBe(true)
    const after = image.slice(image.indexOf(last('USER')))
    expect(after.filter(({ name }) => name === 'RUN' || name === 'COPY')).toEqual([])
  })

  test('copies only what is there, and is not ignored', () => {
    const listed = read('deploy/Dockerfile.dockerignore').split('\n')
    expect(listed).toContain('*')
    const copied = dockerfile.filter(({ name, text }) => name === 'COPY' && !text.includes('--from='))
    const sources = copied.flatMap(({ words }) => words.slice(0, -1))
    expect(sources.length).toBeGreaterThan(6)
    for (const source of sources) {
      expect(existsSync(join(root, source)), source).toBe(true)
      expect(listed).toContain(`!${source}`)
    }
    expect(listed.filter((line) => line.startsWith('!')).map((line) => line.slice(1))).toEqual(
      expect.arrayContaining([...new Set(sources)]),
    )
  })
})

describe('compose', () => {
  test('gives the configuration every variable it names; without one it does not start', () => {
    const named = [...read('deploy/holdfast.yaml').matchAll(/\$\{(\w+)\}/g)].map(([, name]) => name)
    expect(named).toEqual(['POSTGRES_PASSWORD', 'HOLDFAST_TOKEN_HASH'])
    for (const { environment } of [gateway, worker]) {
      expect(Object.keys(environment).sort()).toEqual(named.sort())
      for (const [name, value] of Object.entries(environment)) expect(value).toContain(`\${${name}:?`)
    }
  })

  test('its configuration is a valid one, for the database beside it, and safe to serve', () => {
    const env = { POSTGRES_PASSWORD: 'p'.repeat(48), HOLDFAST_TOKEN_HASH: `sha256:${'0'.repeat(64)}` }
    const config = resolveConfig(parse(read('deploy/holdfast.yaml')), { env, baseDirectory: '/etc/holdfast' })
    const { POSTGRES_USER: user, POSTGRES_DB: database } = postgres.environment
    const url = `postgres://${user}:${env.POSTGRES_PASSWORD}@postgres/${database}`
    expect(config.store).toEqual({ kind: 'postgres', url })
    expect(() => assertSafe({ ...config.gateway, host: '0.0.0.0' })).not.toThrow()
    for (const { volumes } of [gateway, worker])
      expect(volumes).toEqual([`./holdfast.yaml:${last('WORKDIR').text}/holdfast.yaml:ro`])
  })

  test('waits for the database, stops without haste, and is reached from this machine only', () => {
    for (const service of [gateway, worker]) {
      expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'], init: true, restart: 'unless-stopped' })
      expect(service.depends_on).toEqual({ postgres: { condition: 'service_healthy' } })
      expect(durationMs(service.stop_grace_period)).toBeGreaterThanOrEqual(LONGEST_STOP_MS)
    }
    expect(gateway.ports).toEqual(['127.0.0.1:4180:4180'])
    expect(worker.healthcheck).toEqual({ disable: true })
    expect(postgres.ports).toBeUndefined()
    for (const volume of postgres.volumes) expect(Object.keys(compose.volumes)).toContain(volume.split(':')[0])
  })
})

describe('systemd', () => {
  test('the unit keeps its data where the page says, and stops without haste', () => {
    expect(SERVED_BY_UNIT.slice(0, 2)).toEqual([
      '/usr/bin/node',
      '/opt/holdfast/node_modules/holdfast/bin/holdfast.mjs',
    ])
    expect(durationMs(unitValues('TimeoutStopSec')[0] as '30s')).toBeGreaterThanOrEqual(LONGEST_STOP_MS)
    expect(unitValues('StateDirectory')).toEqual(['holdfast'])
    expect(unitValues('User')).toEqual(['holdfast'])
    expect(read('docs/systemd.md')).toContain('sqlite:/var/lib/holdfast/holdfast.db')
  })

  const hasAnalyzer = spawnSync('systemd-analyze', ['--version']).status === 0

  test.skipIf(!hasAnalyzer)('systemd-analyze finds no mistake, and little that an intruder could reach', () => {
    const analyze = (...words: string[]) =>
      spawnSync('systemd-analyze', [...words, join(root, 'deploy/holdfast.service')], { encoding: 'utf8' })
    const verified = analyze('verify', '--man=no')
    // Of the programs only Node's place can differ on the machine that tests.
    const mistakes = verified.stderr.split('\n').filter((line) => line !== '' && !line.includes('is not executable'))
    expect(mistakes).toEqual([])
    const secured = analyze('security', '--offline=true', '--threshold=20', '--no-pager')
    expect(secured.stdout).toMatch(/Overall exposure level for holdfast.service: 1\.\d OK/)
    expect(secured.status).toBe(0)
  })
})
