import { describe, expect, onTestFinished, test } from 'vitest'
import { seededRandom } from '../../core/random.ts'
import { resource } from '../twin/resource.ts'
import { startTwin, type Twin } from '../twin/twin.ts'
import { createVirtualClock, type VirtualClock } from '../virtual-clock.ts'
import type { FaultInput } from './fault.ts'
import type { ScriptStep } from './fault-plan.ts'
import { FAULT_KINDS } from './perform.ts'
import { callRaw, type Heard } from './raw-client.ts'

const ada = { email: 'ada@example.com', name: 'Ada' }

async function twinWith(fault: ScriptStep): Promise<{ twin: Twin; clock: VirtualClock }> {
  const clock = createVirtualClock()
  const routes = resource('/contacts', { required: ['email'], effectKey: 'email' })
  const twin = await startTwin({ clock, random: seededRandom(1), routes })
  onTestFinished(() => twin.close())
  twin.script('POST /contacts', [fault])
  return { twin, clock }
}

/** One request against one fault: what came over the wire, and how often it was executed. */
async function meet(fault: FaultInput, headers?: Record<string, string>): Promise<Heard & { effects: number }> {
  const { twin } = await twinWith(fault)
  const heard = await callRaw(twin.url, 'POST', '/contacts', { body: ada, ...(headers && { headers }) })
  const kind = typeof fault === 'string' ? fault : fault.kind
  await twin.until(() => twin.requests.byOutcome.get(kind) === 1)
  expect([...twin.faults]).toEqual([[kind, 1]])
  const next = await callRaw(twin.url, 'GET', '/contacts')
  expect(next.status, 'the twin goes on').toBe(200)
  return { ...heard, effects: twin.effects.length }
}

describe('R197: each fault, as it arrives on the wire', () => {
  const tested = new Set<string>()
  function faultTest(kind: string, what: string, run: () => Promise<void>): void {
    tested.add(kind)
    test(`${kind}: ${what}`, run)
  }

  faultTest('status', 'the promised answer, without an effect', async () => {
    const fault = { kind: 'status', status: 429, headers: { 'retry-after': '7' }, body: { no: 1 } } as const
    const heard = await meet(fault)
    expect(heard).toMatchObject({ status: 429, body: '{"no":1}', effects: 0 })
    expect(heard.headers['retry-after']).toBe('7')
    expect(await meet('status')).toMatchObject({ status: 503, effects: 0 })
  })

  faultTest('executed_then_status', 'an error although it worked', async () => {
    expect(await meet({ kind: 'executed_then_status', status: 500 })).toMatchObject({ status: 500, effects: 1 })
  })

  faultTest('reset_before_reading', 'a reset, although most of the body was never sent', async () => {
    const heard = await meet('reset_before_reading', { 'content-length': '5000' })
    expect(heard).toMatchObject({ ended: 'reset', raw: '', effects: 0 })
  })

  faultTest('reset_before_executing', 'a reset without an effect', async () => {
    expect(await meet('reset_before_executing')).toMatchObject({ ended: 'reset', raw: '', effects: 0 })
  })

  faultTest('executed_then_reset', 'the same reset, with the effect', async () => {
    expect(await meet('executed_then_reset')).toMatchObject({ ended: 'reset', raw: '', effects: 1 })
  })

  faultTest('duplicated_execution', 'one answer, two effects, counted as a duplicate', async () => {
    const { twin } = await twinWith('duplicated_execution')
    const heard = await callRaw(twin.url, 'POST', '/contacts', { body: ada })
    expect(heard.status).toBe(201)
    expect(twin.effects).toHaveLength(2)
    expect(twin.duplicates().map(({ key, effects }) => [key, effects.length])).toEqual([[ada.email, 2]])
  })

  faultTest('truncated_body', 'half of what content-length says, then a close', async () => {
    const heard = await meet('truncated_body')
    expect(heard).toMatchObject({ status: 201, ended: 'closed', effects: 1 })
    expect(heard.body.length).toBe(Math.floor(Number(heard.headers['content-length']) / 2))
    expect(heard.body.length).toBeGreaterThan(0)
    expect(await meet({ kind: 'truncated_body', executed: false })).toMatchObject({ status: 200, effects: 0 })
  })

  faultTest('malformed_json', 'a complete answer that is not JSON', async () => {
    const heard = await meet('malformed_json')
    expect(heard).toMatchObject({ status: 201, effects: 1 })
    expect(heard.headers['content-type']).toBe('application/json')
    expect(heard.body.length).toBe(Number(heard.headers['content-length']))
    expect(() => JSON.parse(heard.body)).toThrow(SyntaxError)
  })

  faultTest('html_ok', 'a web page with status 200 (R027)', async () => {
    const heard = await meet('html_ok')
    expect(heard).toMatchObject({ status: 200, effects: 1 })
    expect(heard.headers['content-type']).toContain('text/html')
    expect(heard.body).toMatch(/^<!doctype html>/)
    expect(await meet({ kind: 'html_ok', executed: false })).toMatchObject({ status: 200, effects: 0 })
  })

  faultTest('empty_body', 'nothing, labelled as JSON (R027)', async () => {
    const heard = await meet('empty_body')
    expect(heard).toMatchObject({ status: 201, body: '', effects: 1 })
    expect(heard.headers).toMatchObject({ 'content-type': 'application/json', 'content-length': '0' })
  })

  faultTest('wrong_content_type', 'the right body with the wrong label', async () => {
    const heard = await meet('wrong_content_type')
    expect(heard.headers['content-type']).toBe('text/plain')
    expect(JSON.parse(heard.body)).toMatchObject(ada)
  })

  faultTest('cut_headers', 'a close in the middle of a header', async () => {
    const heard = await meet('cut_headers')
    expect(heard).toMatchObject({ ended: 'closed', effects: 1 })
    expect(heard.raw).toMatch(/^HTTP\/1\.1 201 OK\r\n/)
    expect(heard.raw).not.toContain('\r\n\r\n')
  })

  faultTest('huge_body', 'exactly as many bytes as asked for', async () => {
    const heard = await meet({ kind: 'huge_body', bytes: 3_000_000 })
    expect(heard.body.length).toBe(3_000_000)
    expect(Object.keys(JSON.parse(heard.body))).toEqual(['padding'])
  })

  test('huge_body: 100 MiB by default, and a caller who hangs up does no harm', async () => {
    const { twin } = await twinWith('huge_body')
    const heard = await callRaw(twin.url, 'POST', '/contacts', { body: ada, enough: (raw) => raw.length > 100_000 })
    expect(heard.headers['content-length']).toBe(String(100 * 1024 * 1024))
    await twin.until(() => twin.requests.byOutcome.get('huge_body') === 1)
  })

  faultTest('delay', 'neither answer nor effect before its time, and the effect although the caller left', async () => {
    const { twin, clock } = await twinWith({ kind: 'delay', delay: '40s' })
    const leave = Promise.withResolvers<void>()
    const call = callRaw(twin.url, 'POST', '/contacts', { body: ada, leave: leave.promise })
    await clock.whenPending()
    await clock.advance(39_999)
    expect(twin.effects).toHaveLength(0)
    leave.resolve()
    expect(await call).toMatchObject({ raw: '', ended: 'open' })
    await clock.advance(1)
    await twin.until(() => twin.effects.length === 1)
  })

  faultTest('executed_then_delayed', 'the effect at once, the answer late', async () => {
    const { twin, clock } = await twinWith({ kind: 'executed_then_delayed', delay: '60s' })
    const call = callRaw(twin.url, 'POST', '/contacts', { body: ada })
    await clock.whenPending()
    expect(twin.effects).toHaveLength(1)
    expect(twin.requests.byOutcome.size).toBe(0)
    await clock.advance(60_000)
    expect(await call).toMatchObject({ status: 201 })
  })

  faultTest('hang', 'no answer until the twin closes, and no effect', async () => {
    const { twin } = await twinWith('hang')
    const call = callRaw(twin.url, 'POST', '/contacts', { body: ada })
    await twin.until(() => twin.requests.byOutcome.get('hang') === 1)
    expect(twin.effects).toHaveLength(0)
    await twin.close()
    expect(await call).toMatchObject({ raw: '' })
  })

  faultTest('executed_then_hang', 'the effect, and no answer until the twin closes', async () => {
    const { twin } = await twinWith('executed_then_hang')
    const call = callRaw(twin.url, 'POST', '/contacts', { body: ada })
    await twin.until(() => twin.requests.byOutcome.get('executed_then_hang') === 1)
    expect(twin.effects).toHaveLength(1)
    await twin.close()
    expect(await call).toMatchObject({ raw: '' })
  })

  faultTest('slow_drip', 'the headers at once, the body piece by piece', async () => {
    const { twin, clock } = await twinWith({ kind: 'slow_drip', chunkBytes: 10, every: '1s' })
    const started = Promise.withResolvers<void>()
    let bytesSoFar = 0
    const call = callRaw(twin.url, 'POST', '/contacts', {
      body: ada,
      enough(raw) {
        bytesSoFar = raw.length - raw.indexOf('\r\n\r\n') - 4
        if (bytesSoFar >= 10) started.resolve()
        return false
      },
    })
    await started.promise
    expect(bytesSoFar).toBe(10)
    await clock.runUntilIdle()
    const heard = await call
    expect(JSON.parse(heard.body)).toMatchObject(ada)
    expect(clock.monotonicMs()).toBe(Math.ceil(heard.body.length / 10) * 1000)
  })

  test('a caller who leaves in the middle of its request is counted, and nothing is executed', async () => {
    const { twin } = await twinWith('ok')
    const leave = twin.until(() => twin.requests.total === 1)
    await callRaw(twin.url, 'POST', '/contacts', { body: ada, headers: { 'content-length': '5000' }, leave })
    await twin.until(() => twin.requests.byOutcome.get('caller_left') === 1)
    expect(twin.effects).toHaveLength(0)
  })

  test('every fault there is, is tested here', () => {
    expect([...tested].sort()).toEqual([...FAULT_KINDS].sort())
  })
})
