/** `holdfast credentials` as a person meets it: real processes, real store. */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'

const BIN = fileURLToPath(new URL('../../bin/holdfast.mjs', import.meta.url))
const OLD = Buffer.alloc(32, 1).toString('base64')
const NEW = Buffer.alloc(32, 2).toString('base64')
const SECRET = 'a-secret-of-the-crm-000001'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-credentials-'))
  const crm = { baseUrl: 'https://crm.test', auth: { type: 'stored' } }
  const erp = { baseUrl: 'https://erp.test', auth: { type: 'bearer', token: `\${ERP}` } }
  writeFileSync(join(folder, 'holdfast.json'), JSON.stringify({ integrations: { crm, erp } }))
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

async function holdfast(words: readonly string[], env: Record<string, string> = {}, stdin = '') {
  const child = spawn(process.execPath, [BIN, ...words], { cwd: folder, env: { PATH: process.env['PATH'], ...env } })
  child.stdin.end(stdin)
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (piece) => {
    stdout += piece
  })
  child.stderr.on('data', (piece) => {
    stderr += piece
  })
  const code = await new Promise((resolve) => child.on('close', resolve))
  for (const secret of [SECRET, OLD, NEW]) expect(stdout + stderr).not.toContain(secret)
  return { code, stdout, stderr }
}

test('set from stdin and from a variable, list, show, rotate-key, doctor; no secret in any output or in the file', async () => {
  const list = await holdfast(['credentials'], { HOLDFAST_KEY: OLD })
  expect(list.code).toBe(3)
  expect(JSON.parse(list.stdout).credentials).toMatchObject([
    { name: 'crm/default', health: 'missing', version: 0 },
    { name: 'erp/default', health: 'configured' },
  ])
  const set = await holdfast(['credentials', 'set', 'crm'], { HOLDFAST_KEY: OLD }, `${SECRET}\n`)
  expect([set.code, JSON.parse(set.stdout)]).toEqual([0, { stored: 'crm', resumed: ['crm/default'] }])
  await holdfast(['credentials', 'set', 'crm/default', '--env', 'FRESH'], { HOLDFAST_KEY: OLD, FRESH: SECRET })

  const both = { HOLDFAST_KEY: `${NEW},${OLD}` }
  const before = await holdfast(['credentials', 'show', 'crm', '--no-json'], both)
  expect(before.stdout).toMatch(/crm\/default: ready[\s\S]*version: 2[\s\S]*which is not the present one/)
  const rotated = await holdfast(['credentials', 'rotate-key'], both)
  expect(JSON.parse(rotated.stdout)).toMatchObject({ reencrypted: ['crm/default'], unchanged: [] })

  const withNew = await holdfast(['credentials', 'show', 'crm'], { HOLDFAST_KEY: NEW })
  expect([withNew.code, JSON.parse(withNew.stdout)]).toMatchObject([0, { health: 'ready', keyIsPresent: true }])
  const withOld = await holdfast(['doctor', '--no-json'], { HOLDFAST_KEY: OLD, ERP: 'x' })
  expect(withOld.code).toBe(1)
  expect(withOld.stdout).toMatch(/BROKEN\s+credentials: .*not among the keys/)
  expect(readFileSync(join(folder, 'holdfast.db'), 'latin1')).not.toContain(SECRET)
}, 120_000)

test('what cannot be done is said: nothing on stdin, a secret that is configured, no key, a key that is none', async () => {
  const empty = await holdfast(['credentials', 'set', 'crm'], { HOLDFAST_KEY: OLD })
  expect([empty.code, empty.stderr]).toEqual([2, expect.stringContaining('Stdin is empty')])
  const configured = await holdfast(['credentials', 'set', 'erp'], { HOLDFAST_KEY: OLD }, SECRET)
  expect(configured.stderr).toContain('not kept in the store')
  const keyless = await holdfast(['credentials', 'set', 'crm'], {}, SECRET)
  expect(keyless.stderr).toContain('There is no key')
  expect(keyless.stderr).toContain('openssl rand -base64 32')
  const wrong = await holdfast(['credentials', 'set', 'crm'], { HOLDFAST_KEY: `${OLD}${OLD}` }, SECRET)
  expect(wrong.stderr).toContain('is not 32 bytes')
  const unknown = await holdfast(['credentials', 'show', 'nobody'], { HOLDFAST_KEY: OLD })
  expect([unknown.code, unknown.stderr]).toEqual([1, expect.stringContaining('no credential "nobody"')])
}, 120_000)
