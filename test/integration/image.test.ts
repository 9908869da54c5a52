/** What deploy/Dockerfile puts into its image is enough to run, and ends as it should. */

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { makeImage } from '../support/image.ts'
import { openWorkshop } from '../support/workshop.ts'

/** It compiles everything. */
const BUILD_MS = 180_000
const root = resolve(import.meta.dirname, '../..')
const CONFIG = `
store: sqlite:../../var/lib/holdfast/holdfast.db
gateway: { tokens: [{ name: ci, scopes: [admin], hash: "sha256:${'0'.repeat(64)}" }] }
`

test('issue 6: the image serves, is healthy and ready, takes commands, and SIGTERM ends it with 0', {
  timeout: BUILD_MS,
}, async () => {
  await using workshop = openWorkshop({ NODE_ENV: 'production' })
  const image = makeImage(root, 'deploy/Dockerfile', workshop.folder)
  const compose = parse(readFileSync(resolve(root, 'deploy/compose.yaml'), 'utf8'), { merge: true })
  const [, ...readiness] = compose.services.gateway.healthcheck.test as string[]
  workshop.write('image/etc/holdfast/holdfast.yaml', CONFIG)
  const PATH = `${workshop.path('image/usr/local/bin')}:${resolve(process.execPath, '..')}:${process.env['PATH']}`
  const inside = workshop.path('image/etc/holdfast')
  const execute = (words: readonly string[]) =>
    workshop.spawn('sh', ['-c', 'cd "$0" && exec "$@"', inside, ...words], { PATH })

  const serving = execute([...image.entrypoint, ...image.command, '--port', '0'])
  await serving.says('listens on')
  const port = /0\.0\.0\.0:(\d+)/.exec(serving.stderr())?.[1] ?? expect.fail(serving.stderr())
  const probe = async (words: readonly string[]) =>
    (await execute(words.map((word) => word.replace('4180', port))).ended).code
  expect(await probe(image.healthcheck)).toBe(0)
  expect(await probe(readiness)).toBe(0)
  expect((await execute([...image.entrypoint, 'audit']).ended).code).toBe(0)
  // The driver of PostgreSQL is there: it is the server that is not.
  const away = await execute([...image.entrypoint, 'status', '--store', 'postgres://u:p@127.0.0.1:9/x']).ended
  expect(away.stderr).toContain('code:  store_unavailable')

  serving.child.kill('SIGTERM')
  expect(await serving.ended).toMatchObject({ code: 0, signal: null })
  expect(await probe(image.healthcheck)).toBe(1)
  expect(await probe(readiness)).toBe(1)
})
