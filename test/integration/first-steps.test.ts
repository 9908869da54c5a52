import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { seededRandom } from '../../src/core/random.ts'
import { systemClock } from '../../src/system/system-clock.ts'
import { route } from '../../src/testing/twin/route.ts'
import { startTwin } from '../../src/testing/twin/twin.ts'

const example = resolve(import.meta.dirname, '../../examples/first-steps/first-steps.ts')

test('R119: the ten lines of the README do what they say, twice without doing it twice', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-first-steps-'))
  await using crm = await startTwin({
    clock: systemClock,
    random: seededRandom('first steps'),
    routes: [route('PUT', '/contacts/{email}', { effectKey: (request) => request.params['email'] })],
  })
  crm.script('PUT /contacts/{email}', [{ kind: 'status', status: 503 }, 'executed_then_reset', 'ok'])
  const run = () =>
    promisify(execFile)(process.execPath, ['--conditions=holdfast-source', example], {
      cwd: directory,
      env: { ...process.env, CRM_URL: crm.url },
    })
  try {
    expect((await run()).stdout).toContain('succeeded: 2')
    expect((await run()).stdout).toContain('succeeded: 2')
    expect(crm.has('ada@example.com')).toBe(true)
    expect(crm.requests.total).toBe(3)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})
