/** A gateway whose disk is full says so, loses nothing that it answered 2xx, and goes on when there is room again. */
import { describe, expect, test } from 'vitest'
import { canMount, onTinyDisk } from '../support/tiny-disk.ts'
import { HOLDFAST_PROGRAM, openWorkshop } from '../support/workshop.ts'

const MINUTE_MS = 60_000
const FILLING = 'x'.repeat(20_000)
const CONFIG = {
  integrations: { crm: { baseUrl: 'http://127.0.0.1:9' } },
  pipelines: {
    onboard: {
      steps: { create: { integration: 'crm', request: { method: 'POST', path: '/x', body: '{{ input }}' } } },
    },
  },
}

async function submit(url: string, number: number): Promise<number> {
  const response = await fetch(`${url}/v1/pipelines/onboard/runs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': `record-${number}` },
    body: JSON.stringify({ number, filling: FILLING }),
  })
  return response.status
}

async function ready(url: string): Promise<unknown> {
  const response = await fetch(`${url}/readyz`)
  return { ...((await response.json()) as object), code: response.status }
}

describe.runIf(canMount())('a disk of a few mebibytes', () => {
  test('issue 6: /readyz says store_full, records are refused with 503, and with room again all are there, once', {
    timeout: 3 * MINUTE_MS,
  }, async () => {
    await using workshop = openWorkshop()
    workshop.write('holdfast.json', JSON.stringify(CONFIG))
    const disk = onTinyDisk(workshop, '6m', [
      'cp ../holdfast.json .',
      // A person deletes something else on the disk: here, at the first TERM; the second one ends the gateway.
      `node ${HOLDFAST_PROGRAM} serve --port 0 --no-worker & gateway=$!`,
      'trap "mount -o remount,size=40m .; echo there is room" TERM',
      'wait $gateway',
      'trap "kill -TERM $gateway" TERM',
      'wait $gateway; wait $gateway; echo "the gateway ended with $?"',
    ])
    await disk.says('listens on')
    const url = /http:\/\/[\d.:]+/.exec(disk.stderr())?.[0] ?? ''
    let accepted = 0
    while ((await submit(url, accepted)) === 202) accepted++
    expect(accepted).toBeGreaterThan(20)
    expect(await submit(url, accepted)).toBe(503)
    await expect
      .poll(() => ready(url), { timeout: MINUTE_MS })
      .toEqual({ status: 'not_ready', reason: 'store_full', code: 503 })
    expect((await fetch(`${url}/healthz`)).status).toBe(200)

    disk.child.kill('SIGTERM')
    await disk.says('there is room')
    await expect.poll(() => ready(url), { timeout: MINUTE_MS }).toEqual({ status: 'ready', code: 200 })
    for (let number = 0; number < accepted + 5; number++) expect(await submit(url, number)).toBe(202)
    const audit = await (await fetch(`${url}/v1/audit`)).json()
    expect(audit).toMatchObject({ balanced: true, balance: { accepted: accepted + 5 } })
    disk.child.kill('SIGTERM')
    expect((await disk.ended).stdout).toContain('the gateway ended with 0')
  })
})
