import { Webhook as StandardWebhook } from 'standardwebhooks'
import { Webhook as SvixWebhook } from 'svix'
import { describe, expect, test } from 'vitest'
import { createCipher } from '../../src/client/credentials/cipher.ts'
import { seededRandom } from '../../src/core/random.ts'
import { definePipeline } from '../../src/engine/pipelines/pipeline.ts'
import { sharedMemoryPath } from '../../src/ledger/sqlite/index.ts'
import { type TestEngine, type TestEngineOptions, testEngine } from '../support/engine.ts'
import type { Reply, SeenRequest } from '../support/scripted-api.ts'

const SECRET = `whsec_${Buffer.from('the secret of the configuration!').toString('base64')}`
const OWN_SECRET = `whsec_${Buffer.from('a secret that the caller brought').toString('base64')}`
const URL_TO_TELL = 'https://hooks.test/done?flow=7'
const HOOKS = 'https://hooks.test'

const onboard = definePipeline<{ email: string }>('onboard')
  .step('crm', {
    integration: 'crm',
    request: { method: 'PUT', path: '/contacts/{email}', params: ({ input }) => ({ email: input.email }) },
  })
  .step('welcome', { after: ['crm'], safe: true, run: () => ({ sent: true, password: 'the-password-0001' }) })

interface Told extends TestEngine {
  /** Callbacks that were sent. */
  told(): SeenRequest[]
  answer: { crm: Reply; hooks: Reply }
}

async function telling(options: TestEngineOptions = {}): Promise<Told> {
  const answer: Told['answer'] = { crm: { status: 200, body: { id: '4711' } }, hooks: { status: 204 } }
  const engine = await testEngine({
    pipelines: [onboard],
    callbacks: { hosts: ['hooks.test'], secret: SECRET },
    cipher: createCipher(['k'.repeat(43)], seededRandom('key')),
    reply: (request) => (request.origin === HOOKS ? answer.hooks : answer.crm),
    ...options,
  })
  return { ...engine, answer, told: () => engine.api.requests.filter(({ origin }) => origin === HOOKS) }
}

const RECORD = { email: 'ada@example.com' }
const CALLBACK = { key: 'ada', callback: { url: URL_TO_TELL } }

/** As it came over the wire: what is verified are its bytes. */
function wireOf(request: SeenRequest | undefined): { body: string; headers: Record<string, string> } {
  if (!request) return expect.fail('nothing was told')
  return { body: request.text, headers: request.headers }
}

/** The official libraries look at the real time; the signature is checked without it. */
function verify(request: SeenRequest | undefined, secret = SECRET) {
  const { body, headers } = wireOf(request)
  const id = headers['webhook-id'] ?? ''
  const at = new Date(Number(headers['webhook-timestamp']) * 1000)
  expect(new StandardWebhook(secret).sign(id, at, body)).toBe(headers['webhook-signature'])
  expect(new SvixWebhook(secret).sign(id, at, body)).toBe(headers['webhook-signature'])
  return JSON.parse(body)
}

describe('callbacks', () => {
  test('issue 6: when a run has ended it is told, signed as Standard Webhooks say, with what became of each step', async () => {
    const engine = await telling()
    const { runId } = await engine.hf.submit(onboard, RECORD, { ...CALLBACK, labels: { team: 'emea' } })
    engine.hf.startWorker()
    await engine.clock.runUntil(engine.hf.drain())
    expect(engine.told()).toHaveLength(1)
    const [request] = engine.told()
    expect(request).toMatchObject({ method: 'POST', path: '/done?flow=7' })
    expect(request?.headers['content-type']).toBe('application/json')
    const event = verify(request)
    expect(event).toMatchObject({
      type: 'run.succeeded',
      data: {
        runId,
        pipeline: 'onboard',
        key: 'ada',
        labels: { team: 'emea' },
        steps: [
          { step: 'crm', state: 'succeeded', output: { id: '4711' } },
          { step: 'welcome', state: 'succeeded', output: { sent: true } },
        ],
      },
    })
    expect(request?.text).not.toContain('the-password-0001')
    expect(Date.parse(event.timestamp)).not.toBeNaN()
    await engine.finish()
  })

  test('a failed delivery is tried again: the same id and body, a new time, signed anew', async () => {
    const engine = await telling()
    engine.answer.hooks = { status: 503 }
    await engine.hf.submit(onboard, RECORD, CALLBACK)
    engine.hf.startWorker()
    await engine.clock.advance(4000)
    engine.answer.hooks = { status: 200 }
    await engine.clock.runUntil(engine.hf.drain())
    const told = engine.told()
    expect(told.length).toBeGreaterThan(1)
    for (const request of told) verify(request)
    expect(new Set(told.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
    expect(new Set(told.map(({ text }) => text)).size).toBe(1)
    expect(told.at(-1)?.headers['webhook-timestamp']).not.toBe(told[0]?.headers['webhook-timestamp'])
    await engine.finish()
  })

  test.each([
    ['a redirect', 307],
    ['not allowed', 403],
  ])('%s (%d) is no success: a dead letter like any other, to be replayed under the same id', async (_name, status) => {
    const engine = await telling()
    engine.answer.hooks = { status, headers: { location: 'https://evil.test/' } }
    await engine.hf.submit(onboard, RECORD, CALLBACK)
    engine.hf.startWorker()
    await engine.clock.runUntil(engine.hf.drain())
    expect(engine.told()).toHaveLength(1)
    expect(engine.api.requests.some(({ origin }) => origin === 'https://evil.test')).toBe(false)
    const [group] = await engine.hf.operations.groups()
    expect(group).toMatchObject({ count: 1, pipelines: ['callback:callback.hooks.test'] })
    engine.answer.hooks = { status: 200 }
    await engine.hf.operations.replay({ selection: { filter: {} }, by: 'cli:ada' })
    await engine.clock.runUntil(engine.hf.drain())
    const ids = engine.told().map(({ headers }) => headers['webhook-id'])
    expect(ids).toHaveLength(2)
    expect(new Set(ids).size).toBe(1)
    await engine.finish()
  })

  describe('an address that answers 410 Gone', () => {
    /** Both records wait for the same address, and the first of them is told that it is gone. */
    async function goneFor(options: TestEngineOptions = {}) {
      const engine = await telling(options)
      engine.answer.hooks = { status: 410 }
      await engine.hf.submit(onboard, RECORD, CALLBACK)
      engine.hf.startWorker()
      await engine.clock.runUntil(engine.hf.drain())
      await engine.hf.submit(onboard, RECORD, { key: 'grace', callback: { url: URL_TO_TELL } })
      await engine.clock.runUntil(engine.hf.drain())
      return engine
    }

    test('issue 6: is disabled for all that wait for it: asked once, each of the others a dead letter that says why', async () => {
      const engine = await goneFor()
      expect(engine.told()).toHaveLength(1)
      const { operations } = engine.hf
      const [disabled, ...more] = await operations.disabledAddresses()
      if (!disabled) return expect.fail('none is disabled')
      expect(more).toEqual([])
      expect(disabled).toMatchObject({ integration: 'callback.hooks.test', itemId: expect.stringContaining('.ended') })
      const { rows } = await operations.items({ states: ['dead_lettered'] })
      expect(rows).toHaveLength(2)
      for (const { deadLetter, dueAtMs } of rows) {
        expect(deadLetter?.summary).toContain('callback_address_gone')
        expect(deadLetter?.hint).toContain(`holdfast callbacks enable ${disabled.address}`)
        expect(dueAtMs).toBeUndefined()
      }
      expect(rows.filter(({ counters }) => counters.attempts === 0).map(({ reason }) => reason)).toEqual([
        expect.stringMatching(/answered 410 Gone at .*, and is disabled/),
      ])
      expect(await operations.groups()).toMatchObject([{ count: 2, willRetry: 0 }])
      await engine.finish()
    })

    test('it is told once, by an event; and nothing that is told has the URL, which may be a secret', async () => {
      const engine = await goneFor()
      const events = engine.events.filter(({ type }) => type === 'callback.disabled')
      expect(events).toMatchObject([
        { integration: 'callback.hooks.test', hint: expect.stringContaining('callbacks enable') },
      ])
      expect(JSON.stringify([events, await engine.hf.operations.disabledAddresses()])).not.toContain('/done')
      await engine.finish()
    })

    test('what waits for a run waits on: only once there is something to tell is it known that nobody hears it', async () => {
      const engine = await goneFor()
      engine.answer.crm = { status: 422 }
      await engine.hf.submit(onboard, RECORD, { key: 'edsger', callback: { url: URL_TO_TELL } })
      await engine.clock.runUntil(engine.hf.drain())
      const { rows } = await engine.hf.operations.items({ batch: 'holdfast:callbacks', states: ['parked'] })
      expect(rows.map(({ step }) => step)).toEqual(['ended'])
      await engine.finish()
    })

    test('other addresses of the same host go on', async () => {
      const engine = await goneFor()
      engine.answer.hooks = { status: 204 }
      await engine.hf.submit(onboard, RECORD, { key: 'barbara', callback: { url: 'https://hooks.test/done?flow=8' } })
      await engine.clock.runUntil(engine.hf.drain())
      expect(engine.told().map(({ path }) => path)).toEqual(['/done?flow=7', '/done?flow=8'])
      await engine.finish()
    })

    test.each([
      ['by its name', undefined],
      ['by its URL', URL_TO_TELL],
    ])('enabled again %s, on the record: what was not told is replayed, under the same id', async (_name, url) => {
      const engine = await goneFor()
      const operations = engine.hf.operations.as({ by: 'cli:ada', from: 'here' })
      const [disabled] = await operations.disabledAddresses()
      engine.answer.hooks = { status: 204 }
      const replayAll = { selection: { filter: { batch: 'holdfast:callbacks' } }, by: 'cli:ada' }
      await operations.replay(replayAll)
      await engine.clock.runUntil(engine.hf.drain())
      expect(engine.told()).toHaveLength(1)
      expect(await operations.enableAddress(url ?? disabled?.address ?? '')).toEqual(disabled)
      expect(await operations.enableAddress(url ?? disabled?.address ?? '')).toBeUndefined()
      await operations.replay(replayAll)
      await engine.clock.runUntil(engine.hf.drain())
      const [first, ...again] = engine.told()
      expect(again).toHaveLength(2)
      expect(again.map(({ headers }) => headers['webhook-id'])).toContain(first?.headers['webhook-id'])
      for (const request of again) expect(verify(request)).toMatchObject({ type: 'run.succeeded' })
      const { rows: actions } = await operations.actions({ what: 'enable_callback' })
      expect(actions).toMatchObject([
        { target: disabled?.address, details: { known: false } },
        { target: disabled?.address, details: { known: true } },
      ])
      await engine.finish()
    })

    test('other processes on the store hear of it, and do not ask again', async () => {
      const path = sharedMemoryPath('disabled addresses')
      const first = await goneFor({ path })
      const second = await telling({ path, seed: 'second' })
      second.answer.hooks = { status: 204 }
      await second.hf.submit(onboard, RECORD, { key: 'grace hopper', callback: { url: URL_TO_TELL } })
      const worker = second.hf.startWorker()
      await second.clock.runUntil(second.hf.drain())
      expect(second.told()).toHaveLength(0)
      await second.clock.runUntil(worker.stop())
      await second.finish()
      await first.finish()
    })
  })

  test('a 429 is waited for as long as it says, and uses no attempt', async () => {
    const engine = await telling()
    engine.answer.hooks = { status: 429, headers: { 'retry-after': '60' } }
    await engine.hf.submit(onboard, RECORD, CALLBACK)
    engine.hf.startWorker()
    await engine.clock.advance(30_000)
    expect(engine.told()).toHaveLength(1)
    engine.answer.hooks = { status: 200 }
    await engine.clock.runUntil(engine.hf.drain())
    expect(engine.told()).toHaveLength(2)
    await engine.finish()
  })

  test('a run that needs a person is told, and told again when it has ended after all', async () => {
    const engine = await telling()
    engine.answer.crm = { status: 422, body: { error: { code: 'field_required', message: 'company is required' } } }
    await engine.hf.submit(onboard, RECORD, CALLBACK)
    engine.hf.startWorker()
    const stopped = await engine.clock.runUntil(engine.hf.drain())
    expect(stopped.states.parked).toBe(1)
    expect(verify(engine.told()[0])).toMatchObject({
      type: 'run.stopped',
      data: { steps: [{ step: 'crm', state: 'dead_lettered', hint: expect.any(String) }, { state: 'waiting' }] },
    })
    engine.answer.crm = { status: 200 }
    await engine.hf.operations.replay({ selection: { filter: {} }, by: 'cli:ada' })
    await engine.clock.runUntil(engine.hf.drain())
    const [first, second] = engine.told()
    expect(verify(second)).toMatchObject({ type: 'run.succeeded' })
    expect(second?.headers['webhook-id']).not.toBe(first?.headers['webhook-id'])
    await engine.finish()
  })

  test('a run that a person gave up has failed, and that is told too', async () => {
    const engine = await telling()
    const { runId } = await engine.hf.submit(onboard, RECORD, CALLBACK)
    await engine.hf.operations.cancel({ itemIds: [`${runId}.crm`] }, 'wrong list', 'cli:ada')
    engine.hf.startWorker()
    await engine.clock.runUntil(engine.hf.drain())
    expect(engine.told().map((request) => verify(request).type)).toEqual(['run.failed'])
    await engine.finish()
  })

  test('the secret may come with the record; it is kept encrypted, and nothing shows it', async () => {
    const engine = await telling({ callbacks: { hosts: ['hooks.test'] } })
    await expect(engine.hf.submit(onboard, RECORD, CALLBACK)).rejects.toMatchObject({ code: 'callback_secret_missing' })
    await engine.hf.submit(onboard, RECORD, { callback: { url: URL_TO_TELL, secret: OWN_SECRET } })
    const { rows } = await engine.hf.operations.items()
    for (const { itemId } of rows) {
      expect(JSON.stringify(await engine.hf.operations.item(itemId))).not.toContain(OWN_SECRET.slice(6, 30))
    }
    engine.hf.startWorker()
    await engine.clock.runUntil(engine.hf.drain())
    expect(verify(engine.told()[0], OWN_SECRET)).toMatchObject({ type: 'run.succeeded' })
    await engine.finish()
  })

  test('a worker that is gone when the run has ended takes nothing with it: the callback is in the store', async () => {
    const engine = await telling()
    await engine.hf.submit(onboard, RECORD, CALLBACK)
    const worker = engine.hf.startWorker()
    await engine.clock.advance(500)
    expect((await engine.hf.operations.balance({ pipeline: 'onboard' })).states.succeeded).toBe(2)
    await engine.clock.runUntil(worker.stop({ graceMs: 0 }))
    await engine.clock.advance(3_600_000)
    expect(engine.told()).toHaveLength(0)
    engine.hf.startWorker()
    await engine.clock.runUntil(engine.hf.drain())
    expect(verify(engine.told()[0])).toMatchObject({ type: 'run.succeeded' })
    await engine.finish()
  })

  test('submitted again, with its callback, it is told once', async () => {
    const engine = await telling()
    await engine.hf.submit(onboard, RECORD, CALLBACK)
    expect(await engine.hf.submit(onboard, RECORD, CALLBACK)).toMatchObject({ duplicate: true })
    engine.hf.startWorker()
    await engine.clock.runUntil(engine.hf.drain())
    expect(engine.told()).toHaveLength(1)
    await engine.finish()
  })

  test('single calls have callbacks too', async () => {
    const engine = await telling()
    const request = { integration: 'crm', method: 'PUT', path: '/contacts/1', body: { a: 1 } } as const
    await engine.hf.submitRequest(request, CALLBACK)
    engine.hf.startWorker()
    await engine.clock.runUntil(engine.hf.drain())
    expect(verify(engine.told()[0])).toMatchObject({ type: 'run.succeeded', data: { pipeline: 'request:crm' } })
    await engine.finish()
  })

  test.each([
    ['another host', 'https://evil.test/'],
    ['the same host without TLS', 'http://hooks.test/done'],
    ['another port', 'https://hooks.test:8443/done'],
    ['a name before the host', 'https://hooks.test@evil.test/'],
    ['a password in it', 'https://ada:pass@hooks.test/done'],
    ['the address of a machine', 'http://169.254.169.254/latest/meta-data'],
    ['no address', 'hooks.test/done'],
    ['another protocol', 'file:///etc/passwd'],
  ])('rule 7: %s is refused, and nothing is accepted', async (_name, url) => {
    const engine = await telling()
    const submitted = engine.hf.submit(onboard, RECORD, { callback: { url } })
    await expect(submitted).rejects.toMatchObject({ code: 'callback_refused', class: 'validation' })
    expect((await engine.hf.operations.balance()).accepted).toBe(0)
    await engine.finish()
  })

  test('a secret that cannot sign is refused; so is one that cannot be encrypted', async () => {
    const engine = await telling()
    const bad = engine.hf.submit(onboard, RECORD, { callback: { url: URL_TO_TELL, secret: 'no base64!' } })
    await expect(bad).rejects.toMatchObject({ code: 'callback_secret_invalid' })
    const short = engine.hf.submit(onboard, RECORD, { callback: { url: URL_TO_TELL, secret: 'whsec_c2hvcnQ=' } })
    await expect(short).rejects.toMatchObject({ code: 'callback_secret_invalid' })
    await engine.finish()
    const keyless = await telling({ cipher: createCipher([], seededRandom('none')) })
    const plain = keyless.hf.submit(onboard, RECORD, { callback: { url: URL_TO_TELL, secret: OWN_SECRET } })
    await expect(plain).rejects.toMatchObject({ code: 'encryption_key_missing' })
    expect((await keyless.hf.operations.balance()).accepted).toBe(0)
    await keyless.finish()
  })

  test('the hosts of callbacks can be seen and held like integrations, and nobody else can call them', async () => {
    const engine = await telling()
    await engine.hf.operations.suspend('callback.hooks.test', 'they asked for it')
    await engine.hf.submit(onboard, RECORD, CALLBACK)
    engine.hf.startWorker()
    await engine.clock.advance(60_000)
    expect(engine.told()).toHaveLength(0)
    await engine.hf.operations.resume('callback.hooks.test')
    await engine.clock.runUntil(engine.hf.drain())
    expect(engine.told()).toHaveLength(1)
    const request = { integration: 'callback.hooks.test', method: 'POST', path: '/x' } as const
    await expect(engine.hf.submitRequest(request)).rejects.toMatchObject({ code: 'unknown_integration' })
    expect(() => engine.hf.client('callback.hooks.test')).toThrow('for callbacks alone')
    await engine.finish()
  })
})
