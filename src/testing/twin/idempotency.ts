import type { Clock } from '../../core/clock.ts'
import { durationMs } from '../../core/duration.ts'
import { sha256Hex } from '../../core/json.ts'
import type { TwinRequest } from './request.ts'
import type { IdempotencyOptions, TwinResponse } from './route.ts'

/** What a repeated key gets (draft-ietf-httpapi-idempotency-key-header). */
export type KeyVerdict =
  | { readonly type: 'go' }
  | { readonly type: 'replay'; readonly response: TwinResponse }
  | { readonly type: 'in_flight' }
  | { readonly type: 'other_request' }

export interface RememberedAnswer {
  readonly key: string
  readonly fingerprint: string
  readonly response: TwinResponse
  readonly expiresAtMs: number
}

/** The answers a twin remembers by idempotency key. */
export interface KeyMemory {
  begin(key: string, request: TwinRequest): KeyVerdict
  /** Remembers the answer, or forgets the key where nothing happened. */
  finish(key: string, request: TwinRequest, response: TwinResponse | undefined, options: IdempotencyOptions): void
  /** Takes over an answer from a journal. */
  restore(answer: RememberedAnswer): void
}

export function createKeyMemory(clock: Clock, onRemembered: (answer: RememberedAnswer) => void): KeyMemory {
  const answers = new Map<string, RememberedAnswer>()
  const inFlight = new Map<string, string>()

  function verdict(key: string, fingerprint: string): KeyVerdict {
    const running = inFlight.get(key)
    if (running !== undefined) return { type: running === fingerprint ? 'in_flight' : 'other_request' }
    const answer = answers.get(key)
    if (!answer || answer.expiresAtMs <= clock.wallMs()) return { type: 'go' }
    return answer.fingerprint === fingerprint
      ? { type: 'replay', response: answer.response }
      : { type: 'other_request' }
  }

  return {
    begin(key, request) {
      const fingerprint = fingerprintOf(request)
      const result = verdict(key, fingerprint)
      if (result.type === 'go') inFlight.set(key, fingerprint)
      return result
    },
    finish(key, request, response, options) {
      inFlight.delete(key)
      if (!response) return
      const expiresAtMs = clock.wallMs() + durationMs(options.lifetime ?? '24h')
      const answer = { key, fingerprint: fingerprintOf(request), response, expiresAtMs }
      answers.set(key, answer)
      onRemembered(answer)
    },
    restore: (answer) => void answers.set(answer.key, answer),
  }
}

function fingerprintOf(request: TwinRequest): string {
  return sha256Hex(`${request.method} ${request.path} ${request.text}`)
}
