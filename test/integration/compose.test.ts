/** The commands of deploy/compose.yaml with the configuration beside it, at once, on a PostgreSQL that is empty; as compose starts them. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { seededRandom } from '../../src/core/random.ts'
import { systemClock } from '../../src/system/system-clock.ts'
import { route } from '../../src/testing/twin/route.ts'
import { startTwin } from '../../src/testing/twin/twin.ts'
import { startPostgres } from '../support/postgres.ts'
import { jsonOf, openWorkshop } from '../support/workshop.ts'

const deploy = resolve(import.meta.dirname, '../../deploy')
const read = (file: string) => readFileSync(resolve(deploy, file), 'utf8')

interface Service {
  readonly command: readonly string[]
}

test('issue 6: gateway and worker share the database: what one takes in the other does; both end with 0', {
  timeout: 120_000,
}, async () => {
  const { services } = parse(read('compose.yaml'), { merge: true }) as {
    services: Record<'gateway' | 'worker', Service>
  }
  await using workshop = openWorkshop()
  const done = Promise.withResolvers<void>()
  await using crm = await startTwin({
    clock: systemClock,
    random: seededRandom('compose'),
    routes: [route('PUT', '/contacts/{email}', { effectKey: ({ params }) => params['email'] })],
    onEffect: () => done.resolve(),
  })
  const database = await startPostgres()
  try {
    const words = ['token', 'create', 'first', '--scopes', 'admin'] as const
    const { token, hash } = jsonOf<{ token: string; hash: string }>(await workshop.holdfast(...words))
    const here = {
      'postgres://holdfast:${POSTGRES_PASSWORD}@postgres/holdfast': database.url,
      'https://api.example.com/v1': crm.url,
      '${HOLDFAST_TOKEN_HASH}': hash,
    }
    let config = read('holdfast.yaml')
    for (const [written, real] of Object.entries(here)) {
      expect(config).toContain(written)
      config = config.replace(written, () => real)
    }
    workshop.write('holdfast.yaml', config)

    const gateway = workshop.start(...services.gateway.command, '--port', '0')
    const worker = workshop.start(...services.worker.command)
    await Promise.all([gateway.says('listens on'), worker.says('orking')])
    const port = /0\.0\.0\.0:(\d+)/.exec(gateway.stderr())?.[1] ?? expect.fail(gateway.stderr())
    const response = await fetch(`http://127.0.0.1:${port}/v1/pipelines/contacts/runs`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: '{"email":"ada@example.com"}',
    })
    expect(response.status).toBe(202)
    await done.promise
    for (const { child, ended } of [gateway, worker]) {
      child.kill('SIGTERM')
      expect(await ended).toMatchObject({ code: 0, signal: null })
    }
    expect(jsonOf(await workshop.holdfast('audit'))).toMatchObject({ balanced: true })
    expect(crm.has('ada@example.com')).toBe(true)
  } finally {
    await database.remove()
  }
})
