/**
 * SDKs that retry by themselves multiply what Holdfast tries: six tries each for three of theirs. This notices when a call is
 * repeated that has just been given up, says so once, and answers the SDK's own repeats with what is known already.
 */
import { createHash } from 'node:crypto'
import type { IntegrationSettings } from '../../config/settings.ts'
import type { HoldfastError } from '../../core/errors.ts'
import type { EventCatalogue } from '../../core/events.ts'
import type { FailureClass } from '../../core/failure.ts'
import { isRepeatable } from '../../policy/classify/classify.ts'
import type { AttemptParts } from '../attempt/attempt.ts'
import type { OutboundCall } from '../call/call.ts'

type Evidence = EventCatalogue['nested_retries.detected']['evidence']

/** A call that ended without success. */
interface GivenUp {
  readonly error: HoldfastError
  /** The SDK got an answer, not an exception. */
  readonly answered: boolean
  /** The key that Holdfast made for it, where it did. */
  readonly madeKey: string | undefined
  rememberedUntilMs: number
}

export interface Repeat {
  /** Thrown instead of sending anything: Holdfast has decided about this call already. */
  readonly refusal: HoldfastError | undefined
  /** The key of the tries before: it is the same operation. */
  readonly madeKey: string | undefined
}

/** The known SDKs come back within 0.5 to 8 seconds, or when Retry-After is over. */
const REMEMBERED_MS = 10_000
const MOST_REMEMBERED = 1000
const RETRY_COUNT_HEADER = 'x-stainless-retry-count'
const STRIPE_KEY_PREFIX = 'stripe-node-retry-'

/** What SDKs repeat. Others (validation, 401 before a refresh) are not about retries; what was held back was never tried. */
const WORTH_REMEMBERING: ReadonlySet<FailureClass> = new Set([
  'transient',
  'rate_limited',
  'wait_long',
  'conflict',
  'malformed_response',
  'unknown',
  'cancelled',
])

const watches = new WeakMap<IntegrationSettings, NestedRetries>()

/** One for all fetches of an integration. */
export function nestedRetriesOf(integration: IntegrationSettings): NestedRetries {
  let watch = watches.get(integration)
  if (!watch) {
    watch = new NestedRetries()
    watches.set(integration, watch)
  }
  return watch
}

export class NestedRetries {
  /** Equal calls may fail at the same time: one entry each, the latest last. */
  readonly #givenUp = new Map<string, GivenUp[]>()
  #reported = false

  /** `ownKey`: the idempotency key that the caller brought. */
  recognise(call: OutboundCall, ownKey: string | undefined, parts: AttemptParts): Repeat | undefined {
    const counted = isCounted(call)
    if (this.#givenUp.size === 0) {
      if (counted) this.#report('retry_header', call, false, parts)
      return undefined
    }
    const operation = operationOf(call, ownKey)
    const nowMs = parts.clock.monotonicMs()
    const earlier = this.#latest(operation, nowMs)
    const evidence = evidenceOf(counted, ownKey, earlier)
    if (!evidence) return undefined
    const isSurelySdk = evidence !== 'same_request'
    const refusal = isSurelySdk && earlier && mustNotBeSent(earlier, call) ? earlier.error : undefined
    this.#report(evidence, call, refusal !== undefined, parts)
    if (!isSurelySdk || !earlier) return undefined
    if (refusal) earlier.rememberedUntilMs = nowMs + REMEMBERED_MS
    // Each of several equal operations keeps a key of its own.
    else this.#forget(operation, earlier)
    return { refusal, madeKey: earlier.madeKey }
  }

  gaveUp(
    call: OutboundCall,
    ownKey: string | undefined,
    error: HoldfastError,
    answered: boolean,
    parts: AttemptParts,
  ): void {
    if (!WORTH_REMEMBERING.has(error.class) || call.body instanceof ReadableStream) return
    const nowMs = parts.clock.monotonicMs()
    this.#makeRoom(nowMs)
    const operation = operationOf(call, ownKey)
    const entry = {
      error,
      answered,
      madeKey: ownKey === undefined ? call.idempotencyKey : undefined,
      rememberedUntilMs: nowMs + REMEMBERED_MS + (error.failure?.retryAfterMs ?? 0),
    }
    this.#givenUp.set(operation, [...(this.#givenUp.get(operation) ?? []), entry])
  }

  #latest(operation: string, nowMs: number): GivenUp | undefined {
    return this.#givenUp.get(operation)?.findLast(({ rememberedUntilMs }) => rememberedUntilMs >= nowMs)
  }

  #forget(operation: string, entry: GivenUp): void {
    const left = (this.#givenUp.get(operation) ?? []).filter((other) => other !== entry)
    if (left.length > 0) this.#givenUp.set(operation, left)
    else this.#givenUp.delete(operation)
  }

  #makeRoom(nowMs: number): void {
    for (const [operation, entries] of this.#givenUp) {
      const isFull = this.#givenUp.size >= MOST_REMEMBERED
      const live = isFull ? [] : entries.filter(({ rememberedUntilMs }) => rememberedUntilMs >= nowMs)
      if (live.length === 0) this.#givenUp.delete(operation)
      else if (live.length < entries.length) this.#givenUp.set(operation, live)
    }
  }

  #report(evidence: Evidence, call: OutboundCall, refused: boolean, { events, clock }: AttemptParts): void {
    if (this.#reported) return
    this.#reported = true
    const { integration, endpoint } = call
    events.emit('nested_retries.detected', clock.wallMs(), {
      integration: integration.name,
      endpoint: endpoint.endpoint,
      evidence,
      refused,
      hint: hintFor(call),
    })
  }
}

function evidenceOf(counted: boolean, ownKey: string | undefined, earlier: GivenUp | undefined): Evidence | undefined {
  if (counted) return 'retry_header'
  if (!earlier) return undefined
  // Callers cancel, and ask the same again, for reasons of their own.
  if (earlier.error.class === 'cancelled' && ownKey === undefined) return undefined
  return ownKey?.startsWith(STRIPE_KEY_PREFIX) ? 'sdk_key' : 'same_request'
}

/**
 * The tries and the time of such a call are used up; and where it may have happened, repeating it is not for an SDK to decide
 * (rule 3).
 */
function mustNotBeSent({ error, answered }: GivenUp, call: OutboundCall): boolean {
  if (answered) return false
  if (error.class !== 'cancelled') return true
  return error.certainty !== 'not_sent' && !isRepeatable(call.endpoint.idempotency)
}

/** The SDKs of OpenAI and Anthropic number their tries. */
function isCounted({ headers }: OutboundCall): boolean {
  const count = headers[RETRY_COUNT_HEADER]
  return count !== undefined && count !== '0'
}

/** These differ from try to try of one operation. */
const VARYING_HEADERS =
  /^(?:x-stainless-.*|x-stripe-client-telemetry|traceparent|tracestate|x-correlation-id|content-type)$/

/** Equal for all tries of one operation, and for no other: the account it is for stands in some header, whichever. */
function operationOf(call: OutboundCall, ownKey: string | undefined): string {
  const { idempotency } = call.endpoint
  const keyHeader = idempotency.kind === 'key' ? idempotency.header.toLowerCase() : undefined
  const hash = createHash('sha256').update(`${call.lane} ${call.method} ${call.path}\n${ownKey ?? ''}\n`)
  for (const name of Object.keys(call.headers).sort()) {
    if (name !== keyHeader && !VARYING_HEADERS.test(name)) hash.update(`${name}: ${call.headers[name]}\n`)
  }
  return hash.update(comparableBody(call)).digest('base64')
}

/** A form gets another boundary each time it is written. */
function comparableBody({ body, headers }: OutboundCall): string | Uint8Array {
  if (typeof body !== 'string' && !(body instanceof Uint8Array)) return ''
  const boundary = /boundary="?([^";]+)/.exec(headers['content-type'] ?? '')?.[1]
  return boundary === undefined ? body : Buffer.from(body).toString('latin1').replaceAll(boundary, '')
}

const SDKS: readonly { readonly userAgent: RegExp; readonly name: string; readonly fix: string }[] = [
  { userAgent: /^Stripe\//i, name: 'stripe', fix: 'maxNetworkRetries: 0' },
  { userAgent: /^OpenAI\//i, name: 'openai', fix: 'maxRetries: 0' },
  { userAgent: /^Anthropic\//i, name: '@anthropic-ai/sdk', fix: 'maxRetries: 0' },
  { userAgent: /octokit/i, name: 'octokit', fix: 'retry: { enabled: false }, throttle: { enabled: false }' },
  { userAgent: /notionhq/i, name: '@notionhq/client', fix: 'retry: false' },
  {
    userAgent: /slack:web-api/i,
    name: '@slack/web-api',
    fix: 'retryConfig: { retries: 0 }, rejectRateLimitedCalls: true',
  },
]

function hintFor({ headers, integration }: OutboundCall): string {
  const sdk = SDKS.find(({ userAgent }) => userAgent.test(headers['user-agent'] ?? ''))
  if (sdk) return `Turn the retries of ${sdk.name} off: { ${sdk.fix} }. Holdfast makes them, where they are safe.`
  return `Something retries calls to "${integration.name}" after Holdfast has given up on them. Turn the retries of the SDK off (maxRetries: 0, maxNetworkRetries: 0, retry: false): Holdfast makes them, where they are safe.`
}
