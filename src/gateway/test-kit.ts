/** A gateway over a real engine and store, on virtual time, called as a function. For tests. */
import { onTestFinished } from 'vitest'
import { type TestEngine, type TestEngineOptions, testEngine } from '../../test/support/engine.ts'
import type { GatewaySettings } from '../config/gateway-settings.ts'
import { gatewaySettings } from '../config/schema-gateway.ts'
import { newId } from '../core/ids.ts'
import { seededRandom } from '../core/random.ts'
import { systemClock } from '../system/system-clock.ts'
import { createGatewayApp, type GatewayApp } from './app.ts'
import { proxyOf, webhooksOf } from './mounts.ts'
import type { GatewayParts } from './parts.ts'
import { type Gateway, startGateway } from './server.ts'

export interface TestGateway extends TestEngine {
  readonly app: GatewayApp
  readonly parts: GatewayParts
  readonly troubles: unknown[]
  /** A JSON body is sent as such. */
  call(method: string, path: string, options?: CallOptions): Promise<TestAnswer>
}

export interface CallOptions {
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly from?: string
}

export interface TestAnswer {
  readonly status: number
  readonly headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: whatever came, for a test to look at
  readonly json: any
  readonly text: string
}

export const ORIGIN = 'http://127.0.0.1:4180'

export interface TestGatewayOptions extends TestEngineOptions {
  readonly gateway?: Partial<GatewaySettings>
  readonly parts?: Partial<GatewayParts>
}

export async function testGateway(options: TestGatewayOptions = {}): Promise<TestGateway> {
  const engine = await testEngine(options)
  const random = seededRandom('gateway')
  const troubles: unknown[] = []
  const parts: GatewayParts = {
    holdfast: engine.hf,
    settings: { ...gatewaySettings(), ...options.gateway },
    clock: engine.clock,
    newId: () => newId(engine.clock, random),
    maxPayloadBytes: options.settings?.maxPayloadBytes ?? 4 * 1024 * 1024,
    redact: [],
    loopDelayMs: () => 0,
    onTrouble: (trouble) => troubles.push(trouble),
    ...options.parts,
  }
  const app = createGatewayApp(parts)
  return {
    ...engine,
    app,
    parts,
    troubles,
    async call(method, path, { body, headers = {}, from = '127.0.0.1' } = {}) {
      const isJson = body !== undefined && typeof body !== 'string' && !(body instanceof ReadableStream)
      const request = new Request(ORIGIN + path, {
        method,
        headers: { ...(isJson && { 'content-type': 'application/json' }), ...headers },
        ...(body !== undefined && {
          body: isJson ? JSON.stringify(body) : (body as NonNullable<RequestInit['body']>),
          duplex: 'half',
        }),
      })
      const response = await app.fetch(request, from)
      const text = await response.text()
      const isJsonAnswer = /[/+]json$/.test(response.headers.get('content-type') ?? '')
      return {
        status: response.status,
        headers: response.headers,
        text,
        json: isJsonAnswer ? JSON.parse(text) : undefined,
      }
    },
  }
}

export interface ServingGateway extends TestGateway {
  readonly gateway: Gateway
  readonly port: number
}

/** The same behind a socket, with webhooks and the proxy, until the test has ended. Limits of time are real. */
export async function serving(options: TestGatewayOptions = {}): Promise<ServingGateway> {
  const test = await testGateway(options)
  const { parts, hf } = test
  const gateway = await startGateway({
    webhooks: webhooksOf(hf),
    proxy: proxyOf(hf, parts),
    ...parts,
    settings: { ...parts.settings, port: 0 },
    clock: systemClock,
  })
  onTestFinished(async () => {
    await gateway.stop({ graceMs: 0 })
    await test.finish()
  })
  return { ...test, gateway, port: Number(new URL(gateway.url).port) }
}
