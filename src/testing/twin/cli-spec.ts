import { parseDocument } from 'yaml'
import { z } from 'zod'
import { didYouMean } from '../../config/nearest.ts'
import { configError } from '../../config/problems.ts'
import { choice, closed, count, duration, headers, oneOrMore, rate, share, text } from '../../config/schema-parts.ts'
import { problemsOf } from '../../config/schema-problems.ts'
import type { Clock } from '../../core/clock.ts'
import { type Random, seededRandom } from '../../core/random.ts'
import type { FaultInput, FaultKind, FaultRule } from '../faults/fault.ts'
import { FAULT_KINDS } from '../faults/perform.ts'
import { resource } from './resource.ts'
import { route, type TwinRoute } from './route.ts'
import { startTwin, type Twin } from './twin.ts'

const ROUTE_PATTERN = /^(GET|POST|PUT|PATCH|DELETE) (\/\S*)$/
const routeName = z
  .string()
  .regex(ROUTE_PATTERN, { error: 'expected a method and a path, such as "POST /contacts" or "GET /contacts/{id}"' })
const path = z.string().regex(/^\/\S*$/, { error: 'expected a path that starts with /' })
const status = count('An HTTP status', { atLeast: 200, atMost: 599 })

const rateLimit = closed({
  rate: rate('`100/10s`, in any window of this length'),
  per: choice(['everyone', 'credential'], 'Whose requests are counted together').exactOptional(),
  retryAfter: choice(
    ['seconds', 'decimal_seconds', 'http_date', 'milliseconds', 'none'],
    'Form of the wait',
  ).exactOptional(),
  headers: z.boolean().exactOptional(),
  reset: choice(
    ['epoch_seconds', 'epoch_milliseconds', 'delta_seconds'],
    'What the reset header counts',
  ).exactOptional(),
  status: status.exactOptional(),
})

const idempotency = z.union([
  z.boolean(),
  closed({
    header: text('Its name').exactOptional(),
    required: z.boolean().exactOptional(),
    lifetime: duration('How long').exactOptional(),
  }),
])

/** All options of all faults: which of them a kind takes is checked after. */
const faultOptions = {
  status: status.exactOptional(),
  headers: headers.exactOptional(),
  body: z.unknown().exactOptional(),
  delay: duration('How late').exactOptional(),
  executed: z.boolean().exactOptional(),
  chunkBytes: count('Bytes of a piece').exactOptional(),
  every: duration('Between two pieces').exactOptional(),
  bytes: count('Length of the body', { atLeast: 16, atMost: 10_000_000_000 }).exactOptional(),
}

const OPTIONS_OF: { readonly [Kind in FaultKind]: readonly (keyof typeof faultOptions)[] } = {
  status: ['status', 'headers', 'body'],
  executed_then_status: ['status', 'headers', 'body'],
  delay: ['delay'],
  executed_then_delayed: ['delay'],
  reset_before_reading: [],
  reset_before_executing: [],
  executed_then_reset: [],
  hang: [],
  executed_then_hang: [],
  truncated_body: ['executed'],
  malformed_json: ['executed'],
  html_ok: ['executed'],
  empty_body: ['executed'],
  wrong_content_type: ['executed'],
  slow_drip: ['executed', 'chunkBytes', 'every'],
  cut_headers: ['executed'],
  duplicated_execution: [],
  huge_body: ['executed', 'bytes'],
}

const fault = closed({
  fault: choice(FAULT_KINDS, 'What goes wrong'),
  route: routeName.exactOptional(),
  key: oneOrMore('Effect keys').exactOptional(),
  nth: z.union([count('The n-th request'), z.array(count('The n-th request'))]).exactOptional(),
  probability: share('Of the requests that match').exactOptional(),
  times: count('At most so often').exactOptional(),
  ...faultOptions,
}).superRefine((value, context) => {
  const allowed = OPTIONS_OF[value.fault] as readonly string[]
  for (const option of Object.keys(faultOptions)) {
    if (!Object.hasOwn(value, option) || allowed.includes(option)) continue
    const takes = allowed.length > 0 ? `takes ${allowed.join(', ')}` : 'takes no options'
    context.addIssue({ code: 'custom', path: [option], message: `the fault ${value.fault} ${takes}` })
  }
})

const period = { startsIn: duration('From the start').exactOptional(), lasts: duration('How long').exactOptional() }

const specSchema = closed({
  name: text('Told in the server header').exactOptional(),
  host: text('Default 127.0.0.1').exactOptional(),
  port: count('Default any free one', { atLeast: 0, atMost: 65_535 }).exactOptional(),
  seed: z.union([z.string(), z.number()]).exactOptional(),
  latency: duration('Before every answer', { positive: false }).exactOptional(),
  journal: text('A file').exactOptional(),
  rateLimit: rateLimit.exactOptional(),
  resources: z
    .array(
      closed({
        path,
        uniqueBy: text('A field').exactOptional(),
        required: z.array(z.string().min(1)).exactOptional(),
        effectKey: text('A field').exactOptional(),
        ids: z
          .union([z.enum(['uuid', 'number']), closed({ prefix: text('Before the id') })], {
            error: 'expected uuid, number or { prefix: ... }',
          })
          .exactOptional(),
        idempotency: idempotency.exactOptional(),
        rateLimit: rateLimit.exactOptional(),
        work: duration('Of a creation').exactOptional(),
      }),
    )
    .exactOptional(),
  routes: z
    .array(
      closed({
        route: routeName,
        effectKey: text('A field').exactOptional(),
        answer: closed({
          status: status.exactOptional(),
          headers: headers.exactOptional(),
          body: z.unknown().exactOptional(),
        }).exactOptional(),
        idempotency: idempotency.exactOptional(),
        rateLimit: rateLimit.exactOptional(),
        work: duration('Of a request').exactOptional(),
      }),
    )
    .exactOptional(),
  faults: z.array(fault).exactOptional(),
  outages: z
    .array(
      closed({
        mode: choice(['refused', 'unavailable', 'hang', 'reset'], 'How it is away').exactOptional(),
        ...period,
      }),
    )
    .exactOptional(),
  brownOuts: z
    .array(
      closed({
        share: share('Refused').exactOptional(),
        status: status.exactOptional(),
        latency: duration('Added').exactOptional(),
        ...period,
      }),
    )
    .exactOptional(),
})

/** A twin as a file describes it: resources, routes, faults, limits, outages. */
export type TwinSpec = z.infer<typeof specSchema>
type FaultSpec = NonNullable<TwinSpec['faults']>[number]

/**
 * Reads the description of a twin: YAML or JSON text, or a value.
 * @param source the name of the file, for messages.
 * @throws HoldfastError `invalid_config` naming every wrong place, what was expected and the nearest right name.
 */
export function parseTwinSpec(spec: unknown, source = 'the twin'): TwinSpec {
  const value = typeof spec === 'string' ? parseYaml(spec, source) : spec
  const result = specSchema.safeParse(value)
  if (!result.success) throw configError(source, problemsOf(result.error, value, []))
  checkRoutes(result.data, source)
  return result.data
}

export interface TwinSurroundings {
  readonly clock: Clock
  /** Used where the description names no seed. */
  readonly random: Random
  /** Instead of the description's. */
  readonly port?: number
  readonly journal?: string
  /** The name of the file, for messages. */
  readonly source?: string
}

/**
 * Starts a twin from its description.
 * @throws HoldfastError `invalid_config`, `cannot_listen`, `invalid_journal`
 */
export async function twinFromSpec(spec: unknown, around: TwinSurroundings): Promise<Twin> {
  const parsed = parseTwinSpec(spec, around.source)
  const { seed, resources: _resources, routes: _routes, faults = [], outages = [], brownOuts = [], ...options } = parsed
  const { clock, random, source: _source, ...instead } = around
  const twin = await startTwin({
    ...options,
    ...instead,
    clock,
    random: seed === undefined ? random : seededRandom(seed),
    routes: routesOf(parsed),
    faults: faults.map(toRule),
  })
  for (const outage of outages) await twin.outage(outage)
  for (const brownOut of brownOuts) await twin.brownOut(brownOut)
  return twin
}

function routesOf({ resources = [], routes = [] }: TwinSpec): TwinRoute[] {
  const declared = routes.map(({ route: name, answer, ...options }) => {
    const [method, template] = name.split(' ') as [string, string]
    const response = { status: 200, body: { ok: true }, ...answer }
    return route(method, template, { ...options, apply: () => response })
  })
  return [...declared, ...resources.flatMap(({ path: template, ...options }) => resource(template, options))]
}

function toRule({ fault: kind, route: name, key, nth, probability, times, ...options }: FaultSpec): FaultRule {
  const conditions = { route: name, key, nth, probability, times }
  const given = Object.entries(conditions).filter(([, value]) => value !== undefined)
  return { ...Object.fromEntries(given), fault: { kind, ...options } as FaultInput }
}

/** Rules about routes that do not exist would never fire, and nobody would know. */
function checkRoutes(spec: TwinSpec, source: string): void {
  const names = routesOf(spec).map(({ name }) => name)
  const problems = (spec.faults ?? []).flatMap(({ route: name }, index) => {
    if (name === undefined || names.includes(name)) return []
    const message = `the twin has no route ${JSON.stringify(name)}${didYouMean(name, names)}`
    return [{ path: ['faults', index, 'route'], message }]
  })
  if (problems.length > 0) throw configError(source, problems)
}

function parseYaml(content: string, source: string): unknown {
  const document = parseDocument(content)
  const problems = document.errors.map(({ message }) => ({ path: [], message }))
  if (problems.length > 0) throw configError(source, problems)
  return document.toJS()
}
