/** A batch step as a configuration file has it, over real sockets: HubSpot's way of taking and answering many records. */
import { expect, test } from 'vitest'
import { isJsonObject, type Json } from '../../src/core/json.ts'
import { seededRandom } from '../../src/core/random.ts'
import { holdfast } from '../../src/system/open.ts'
import { systemClock } from '../../src/system/system-clock.ts'
import type { TwinRequest } from '../../src/testing/twin/request.ts'
import { route } from '../../src/testing/twin/route.ts'
import { startTwin } from '../../src/testing/twin/twin.ts'
import { openWorkshop } from '../support/workshop.ts'

interface Input {
  readonly id: string
  readonly objectWriteTraceId: string
}

function inputsOf({ body }: TwinRequest): Input[] {
  const inputs = isJsonObject(body as Json) ? (body as { inputs: Input[] }).inputs : []
  return inputs
}

const isValid = ({ id }: Input) => id.includes('@')

test('R121, R122: a batch over real sockets: each record of a 207 ends by itself, a lost answer is sent again where that is safe', {
  timeout: 60_000,
}, async () => {
  await using workshop = openWorkshop()
  const sizes: number[] = []
  await using twin = await startTwin({
    clock: systemClock,
    random: seededRandom('batches'),
    routes: [
      route('POST', '/crm/v3/objects/contacts/batch/upsert', {
        effectKey: (request) =>
          inputsOf(request)
            .filter(isValid)
            .map(({ id }) => id),
        apply(request) {
          const inputs = inputsOf(request)
          sizes.push(inputs.length)
          const results = inputs.filter(isValid).map((input) => ({ ...input, new: true }))
          const errors = inputs
            .filter((input) => !isValid(input))
            .map(({ objectWriteTraceId }) => ({
              status: 'error',
              category: 'VALIDATION_ERROR',
              message: 'this is no e-mail',
              context: { objectWriteTraceId: [objectWriteTraceId], propertyName: ['email'] },
            }))
          return { status: errors.length > 0 ? 207 : 200, body: { status: 'COMPLETE', results, errors } }
        },
      }),
    ],
  })
  twin.script('POST /crm/v3/objects/contacts/batch/upsert', ['executed_then_reset'])
  await using hf = await holdfast({
    store: `sqlite:${workshop.path('holdfast.db')}`,
    integrations: { hubspot: { baseUrl: twin.url, retry: { base: '50ms' } } },
    pipelines: {
      sync: {
        steps: {
          crm: {
            integration: 'hubspot',
            request: {
              method: 'POST',
              path: '/crm/v3/objects/contacts/batch/upsert',
              body: { id: '{{ input.email }}', idProperty: 'email', properties: { name: '{{ input.name }}' } },
            },
            idempotency: 'safe',
            output: '{{ answer.data.id }}',
            batch: { size: 100, bytes: '1MB', linger: '20ms', shape: 'hubspot' },
          },
        },
      },
    },
  })
  const records = Array.from({ length: 300 }, (_, no) => ({
    input: { email: no % 100 === 50 ? 'nobody' : `p${no}@example.com`, name: `P ${no}` },
  }))
  await hf.submitMany('sync', records)
  await using _worker = hf.startWorker()
  const balance = await hf.drain()
  expect(balance.states).toMatchObject({ succeeded: 297, dead_lettered: 3 })
  expect(twin.effects.length).toBeGreaterThanOrEqual(297)
  expect(new Set(twin.effects.map(({ key }) => key)).size).toBe(297)
  expect(sizes.slice(0, 3)).toEqual([100, 100, 100])
  const { rows } = await hf.operations.items({ states: ['dead_lettered'] })
  expect(rows[0]?.deadLetter).toMatchObject({ cause: 'data', hint: expect.stringContaining('email') })
  const { rows: done } = await hf.operations.items({ states: ['succeeded'] }, { limit: 1 })
  expect((await hf.operations.item(done[0]?.itemId ?? ''))?.output).toMatch(/@example\.com$/)
  expect((await hf.operations.audit()).balanced).toBe(true)
})
