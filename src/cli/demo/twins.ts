/** Three APIs that misbehave, each in its own way: real HTTP servers of the test kit, in this process. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isHoldfastError } from '../../core/errors.ts'
import { seededRandom } from '../../core/random.ts'
import { systemClock } from '../../system/system-clock.ts'
import type { FaultRule } from '../../testing/faults/fault.ts'
import { refusal, route, type TwinRoute } from '../../testing/twin/route.ts'
import { startTwin, type Twin } from '../../testing/twin/twin.ts'
import { KNOWN_EMAIL } from './leads.ts'

export interface DemoTwins extends AsyncDisposable {
  readonly enrichment: Twin
  readonly crm: Twin
  readonly sequencer: Twin
}

export interface DemoPorts {
  readonly enrichment: number
  readonly crm: number
  readonly sequencer: number
}

export const TWIN_NAMES = ['enrichment', 'crm', 'sequencer'] as const

/** A fresh demo: everything of the one before is removed. */
export async function startFreshTwins(directory: string): Promise<DemoTwins> {
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  const twins = await startTwins(directory, undefined, 'faulty')
  twins.crm.store.collection('contacts').create({ email: KNOWN_EMAIL, name: 'Ada Lovelace', imported: true })
  const ports: DemoPorts = { enrichment: twins.enrichment.port, crm: twins.crm.port, sequencer: twins.sequencer.port }
  writeFileSync(portsFile(directory), JSON.stringify(ports))
  return twins
}

/** The same APIs again, where the demo left them, and now in good health: for replays afterwards. */
export async function restartTwins(directory: string, ports: DemoPorts): Promise<DemoTwins | undefined> {
  try {
    return await startTwins(directory, ports, 'healthy')
  } catch (error) {
    // The demo itself is still running in another process, and its twins with it.
    if (isHoldfastError(error) && error.code === 'cannot_listen') return undefined
    throw error
  }
}

/** `undefined` where no demo has run here. */
export function readPorts(directory: string): DemoPorts | undefined {
  if (!existsSync(portsFile(directory))) return undefined
  return JSON.parse(readFileSync(portsFile(directory), 'utf8')) as DemoPorts
}

async function startTwins(
  directory: string,
  ports: DemoPorts | undefined,
  mood: 'faulty' | 'healthy',
): Promise<DemoTwins> {
  const started: Twin[] = []
  async function start(name: keyof DemoPorts, routes: readonly TwinRoute[], latency: `${number}ms`): Promise<Twin> {
    const twin = await startTwin({
      name,
      clock: systemClock,
      random: seededRandom(`holdfast demo ${name}`),
      routes: mood === 'faulty' ? routes : routes.map(withoutFaults),
      latency,
      journal: join(directory, `${name}.jsonl`),
      ...(ports && { port: ports[name] }),
    })
    started.push(twin)
    return twin
  }
  async function closeAll(): Promise<void> {
    await Promise.all(started.map((twin) => twin.close()))
  }
  try {
    return {
      enrichment: await start('enrichment', enrichmentRoutes(), '4ms'),
      crm: await start('crm', crmRoutes(), '10ms'),
      sequencer: await start('sequencer', sequencerRoutes(), '6ms'),
      [Symbol.asyncDispose]: closeAll,
    }
  } catch (error) {
    await closeAll()
    throw error
  }
}

function withoutFaults(faulty: TwinRoute): TwinRoute {
  const { faults: _faults, rateLimit: _rateLimit, ...healthy } = faulty
  return healthy
}

/** A share of requests, each fault drawn from the seed. */
function sometimes(fault: FaultRule['fault'], probability: number): Omit<FaultRule, 'route'> {
  return { fault, probability }
}

function enrichmentRoutes(): TwinRoute[] {
  return [
    route('GET', '/people/{email}', {
      rateLimit: { rate: '300/1s', retryAfter: 'seconds' },
      apply: (request) => ({
        status: 200,
        body: { email: request.params['email'], title: 'Engineer', employees: (request.path.length * 37) % 900 },
      }),
      faults: [
        sometimes('reset_before_executing', 0.01),
        sometimes('html_ok', 0.005),
        sometimes('truncated_body', 0.003),
        sometimes({ kind: 'status', status: 503 }, 0.01),
      ],
    }),
  ]
}

/** No idempotency keys and no unique e-mail: whoever repeats a POST has the contact twice. */
function crmRoutes(): TwinRoute[] {
  return [
    route('POST', '/contacts', {
      effectKey: 'email',
      validate: (request) =>
        request.field('company') ? [] : [{ field: 'company', code: 'required', message: 'company is required' }],
      apply(request, store) {
        const contacts = store.collection('contacts', { prefix: 'con_' })
        const known = contacts.findBy('email', request.field('email') ?? '')
        if (known?.['imported']) {
          return refusal(409, 'already_exists', 'A contact with this e-mail already exists', { existingId: known.id })
        }
        return { status: 201, body: contacts.create(request.body as Record<string, unknown>) }
      },
      faults: [
        sometimes('executed_then_reset', 0.02),
        sometimes('reset_before_executing', 0.01),
        sometimes('html_ok', 0.004),
        sometimes({ kind: 'executed_then_delayed', delay: '4s' }, 0.002),
        sometimes({ kind: 'status', status: 503 }, 0.01),
      ],
    }),
    route('GET', '/contacts', {
      apply(request, store) {
        const found = store.collection('contacts').findBy('email', request.query['email'] ?? '')
        return { status: 200, body: found ? [found] : [] }
      },
      faults: [sometimes({ kind: 'status', status: 503 }, 0.02)],
    }),
  ]
}

function sequencerRoutes(): TwinRoute[] {
  return [
    route('POST', '/enrolments', {
      effectKey: 'email',
      idempotency: true,
      rateLimit: { rate: '400/1s', retryAfter: 'decimal_seconds' },
      apply: (request, store) => ({
        status: 201,
        body: store.collection('enrolments', { prefix: 'enr_' }).create(request.body as Record<string, unknown>),
      }),
      faults: [
        sometimes('executed_then_reset', 0.02),
        sometimes('reset_before_executing', 0.01),
        sometimes({ kind: 'status', status: 502 }, 0.01),
      ],
    }),
  ]
}

function portsFile(directory: string): string {
  return join(directory, 'ports.json')
}
