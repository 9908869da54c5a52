import { readdirSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { statesPage } from '../../tools/states-page.ts'

const read = (file: string) => readFileSync(resolve(import.meta.dirname, '../..', file), 'utf8')

test('docs/states.md is made from the table that the store enforces', () => {
  expect(read('docs/states.md')).toBe(statesPage())
})

test('the example of the README is the one that the suite runs', () => {
  expect(read('README.md')).toContain(read('examples/first-steps/first-steps.ts').trim())
})

test('R120: the README says when not to use it', () => {
  const [, section = ''] = /^## When not to use it$([^#]+)/m.exec(read('README.md')) ?? []
  for (const reason of [/few/, /costs nothing/, /transactions across systems/, /bulk\s+job/])
    expect(section).toMatch(reason)
})

test('so is its test of a pipeline', () => {
  const [outage = ''] =
    /^test\('an outage[\s\S]+?^}\)$/m.exec(read('examples/test-your-pipeline/sign-up.test.ts')) ?? []
  expect(outage).not.toBe('')
  expect(read('README.md')).toContain(outage)
})

test('the decisions are all listed', () => {
  const page = read('docs/decisions/README.md')
  const decisions = readdirSync(resolve(import.meta.dirname, '../../docs/decisions')).filter((file) => /^\d/.test(file))
  expect(decisions.length).toBeGreaterThan(10)
  for (const file of decisions) expect(page).toContain(`[${file.slice(0, 3)}](${file})`)
})

test('docs/sdks.md shows the clients and integrations that the suite runs', () => {
  const page = read('docs/sdks.md')
  const source = read('examples/sdks/clients.ts').replaceAll(', ...options', '')
  const lines = [...source.matchAll(/^ +(?:return )?((?:new|const) .+)$/gm)].map((match) => match[1] as string)
  const clients = lines.map((line) => line.replace(/^return /, ''))
  expect(clients.filter((line) => line.startsWith('new '))).toHaveLength(6)
  for (const line of clients) expect(page).toContain(`\n${line}\n`)
  const [integrations = ''] = /^export const integrations[\s\S]+?^}/m.exec(source) ?? []
  expect(integrations).not.toBe('')
  expect(page).toContain(integrations.replace('export ', ''))
  expect(read('README.md')).toContain(clients.find((line) => line.startsWith('new OpenAI')) as string)
})

test('docs/webhooks.md mounts handlers as the examples that the suite runs', () => {
  const [, block = ''] = /^## In Hono, Express[\s\S]+?```ts\n([\s\S]+?)```/m.exec(read('docs/webhooks.md')) ?? []
  const lines = block.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('//'))
  expect(lines.length).toBeGreaterThan(12)
  const files = ['hono.ts', 'express.ts', 'fastify.ts', 'next/app/webhooks/github/route.ts']
  const shown = new Set(
    files.flatMap((file) => read(`examples/frameworks/${file}`).split('\n')).map((line) => line.trim()),
  )
  expect(lines.filter((line) => !shown.has(line.trim()))).toEqual([])
})
