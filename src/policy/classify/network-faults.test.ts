import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Certainty, FailureClass } from '../../core/failure.ts'
import { classifyNetworkFault, defaultIdempotency, type NetworkFault } from './classify.ts'
import { FAULT_RULES } from './network-faults.ts'

const PHASES = ['before_send', 'connect', 'sending', 'waiting_for_headers', 'reading_body'] as const

function judge(fault: Partial<NetworkFault> & { code: string }, method = 'POST') {
  const call = { method, endpoint: `${method} /people`, idempotency: defaultIdempotency(method) }
  return classifyNetworkFault(call, { phase: 'waiting_for_headers', message: 'it broke', ...fault })
}

/** Facts section 5, row by row, for a write whose request was on its way. */
const TABLE: [codes: string[], FailureClass, Certainty, countsAgainstBreaker: boolean, maxRetries?: number][] = [
  [['ECONNREFUSED', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT', 'timeout_connect'], 'transient', 'not_sent', true],
  [['no_longer_allowed'], 'transient', 'not_sent', false],
  [['ENOTFOUND', 'EAI_FAIL', 'EAI_NODATA', 'EAI_NONAME', 'ENODATA'], 'transient', 'not_sent', true, 2],
  [['EHOSTUNREACH', 'ENETUNREACH', 'ENETDOWN', 'EHOSTDOWN'], 'transient', 'maybe_applied', true],
  [
    ['ETIMEDOUT', 'ESOCKETTIMEDOUT', 'timeout_headers', 'timeout_total', 'TimeoutError'],
    'transient',
    'maybe_applied',
    true,
  ],
  [
    ['ECONNRESET', 'EPIPE', 'ECONNABORTED', 'UND_ERR_SOCKET', 'UND_ERR_HEADERS_TIMEOUT'],
    'transient',
    'maybe_applied',
    true,
  ],
  [['UND_ERR_BODY_TIMEOUT', 'terminated', 'timeout_body'], 'transient', 'maybe_applied', true],
  [['ERR_STREAM_PREMATURE_CLOSE'], 'transient', 'maybe_applied', true],
  [['AbortError', 'ABORT_ERR', 'UND_ERR_ABORTED'], 'cancelled', 'maybe_applied', false],
  [['HPE_INVALID_CONSTANT', 'HPE_UNEXPECTED_CONTENT_LENGTH'], 'malformed_response', 'maybe_applied', true, 1],
  [['UND_ERR_RES_CONTENT_LENGTH_MISMATCH'], 'malformed_response', 'maybe_applied', true, 1],
  [
    ['UND_ERR_HEADERS_OVERFLOW', 'UND_ERR_RES_EXCEEDED_MAX_SIZE', 'response_too_large'],
    'malformed_response',
    'maybe_applied',
    false,
    0,
  ],
  [
    ['UND_ERR_INVALID_ARG', 'ERR_INVALID_URL', 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH', 'bad port'],
    'configuration',
    'not_sent',
    false,
  ],
  [
    [
      'UND_ERR_NOT_SUPPORTED',
      'ERR_INVALID_ARG_TYPE',
      'ERR_INVALID_CHAR',
      'ERR_INVALID_HTTP_TOKEN',
      'ERR_UNESCAPED_CHARACTERS',
    ],
    'configuration',
    'not_sent',
    false,
  ],
  [['UND_ERR_DESTROYED', 'UND_ERR_CLOSED'], 'transient', 'maybe_applied', false],
  [['UND_ERR_PRX_TLS', 'UND_ERR_PRX_CONN'], 'transient', 'not_sent', false, 2],
  [
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
    'configuration',
    'not_sent',
    false,
  ],
  [
    ['UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'CERT_HAS_EXPIRED'],
    'configuration',
    'not_sent',
    false,
  ],
  [['CERT_NOT_YET_VALID', 'CERT_REVOKED', 'ERR_TLS_CERT_ALTNAME_INVALID'], 'configuration', 'not_sent', false],
  [['CERT_UNTRUSTED', 'CERT_REJECTED', 'CERT_SIGNATURE_FAILURE', 'INVALID_CA'], 'configuration', 'not_sent', false],
  [['ERR_SSL_WRONG_VERSION_NUMBER'], 'configuration', 'not_sent', false],
  [['NGHTTP2_REFUSED_STREAM'], 'transient', 'not_sent', true],
  [
    ['ERR_HTTP2_STREAM_ERROR', 'ERR_HTTP2_SESSION_ERROR', 'ERR_HTTP2_GOAWAY_SESSION'],
    'transient',
    'maybe_applied',
    true,
  ],
  [['EMFILE', 'ENFILE', 'EADDRNOTAVAIL', 'ENOBUFS', 'ENOMEM'], 'transient', 'not_sent', false],
  // In the handshake these are a wrong set-up; on a connection that stood, a broken connection.
  [['EPROTO', 'ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC'], 'transient', 'maybe_applied', true],
  [['E_NEVER_SEEN', ''], 'unknown', 'maybe_applied', true, 2],
]

describe('facts section 5 (C20): every network error', () => {
  test.each(TABLE)('%j is %s, %s', (codes, failureClass, certainty, countsAgainstBreaker, maxRetries) => {
    for (const code of codes) {
      const failure = judge({ code })
      expect(failure, code).toMatchObject({ class: failureClass, certainty, countsAgainstBreaker })
      expect(failure.maxRetries, code).toBe(maxRetries)
      expect(failure.code).toBe(code || 'network_error')
      expect(failure.hint.length).toBeGreaterThan(10)
      expect(failure.rule).toContain('by network error code')
    }
  })

  test('no code of the table is left untested', () => {
    const tested = new Set(TABLE.flatMap(([codes]) => codes))
    expect(Object.keys(FAULT_RULES).filter((code) => !tested.has(code))).toEqual([])
  })
})

describe('R019: how far the call had come decides what is known', () => {
  const open = TABLE.filter(([, , certainty]) => certainty === 'maybe_applied').flatMap(([codes]) => codes)
  const processed = new Set(['UND_ERR_BODY_TIMEOUT', 'terminated', 'timeout_body', 'response_too_large'])
  processed
    .add('UND_ERR_RES_CONTENT_LENGTH_MISMATCH')
    .add('UND_ERR_HEADERS_OVERFLOW')
    .add('UND_ERR_RES_EXCEEDED_MAX_SIZE')

  test.each(open.filter((code) => !processed.has(code)))('%s before anything was sent surely had no effect', (code) => {
    expect(judge({ code, phase: 'before_send' }).certainty).toBe('not_sent')
    expect(judge({ code, phase: 'connect' }).certainty).toBe('not_sent')
    expect(judge({ code, phase: 'sending', syscall: 'connect' }).certainty).toBe('not_sent')
    expect(judge({ code, phase: 'sending', syscall: 'getaddrinfo' }).certainty).toBe('not_sent')
    expect(judge({ code, phase: 'sending', bytesWritten: 0 }).certainty).toBe('not_sent')
    expect(judge({ code, phase: 'waiting_for_headers', bytesWritten: 0 }).certainty).toBe('not_sent')
  })

  test.each(open)('%s after that leaves it open', (code) => {
    expect(judge({ code, phase: 'sending', bytesWritten: 1 }).certainty).toBe('maybe_applied')
    expect(judge({ code, phase: 'sending', syscall: 'read' }).certainty).toBe('maybe_applied')
    expect(judge({ code, phase: 'waiting_for_headers' }).certainty).toBe('maybe_applied')
    expect(judge({ code, phase: 'reading_body', status: 200, bytesWritten: 0 }).certainty).toBe('maybe_applied')
  })

  test('a read has no effect in any phase', () => {
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(FAULT_RULES), 'odd'), fc.constantFrom(...PHASES), (code, phase) => {
        expect(judge({ code, phase }, 'GET').certainty).toBe('not_sent')
      }),
    )
  })

  test('a refusal whose body was lost is a refusal', () => {
    expect(judge({ code: 'ECONNRESET', phase: 'reading_body', status: 429 })).toMatchObject({
      class: 'rate_limited',
      certainty: 'not_sent',
      countsAgainstBreaker: false,
      status: 429,
    })
    expect(judge({ code: 'timeout_body', phase: 'reading_body', status: 400 })).toMatchObject({
      class: 'transient',
      certainty: 'not_sent',
    })
    expect(judge({ code: 'terminated', phase: 'reading_body', status: 500 }).certainty).toBe('maybe_applied')
    expect(judge({ code: 'terminated', phase: 'reading_body', status: 201 }).certainty).toBe('maybe_applied')
  })

  test('TLS trouble in the handshake is a wrong set-up', () => {
    for (const code of ['EPROTO', 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', 'ERR_TLS_HANDSHAKE_TIMEOUT']) {
      expect(judge({ code, phase: 'connect' })).toMatchObject({ class: 'configuration', certainty: 'not_sent' })
    }
  })

  test('a refused HTTP/2 stream was not processed, known only by its text', () => {
    const message = 'Stream closed with error code NGHTTP2_REFUSED_STREAM'
    expect(judge({ code: 'ERR_HTTP2_STREAM_ERROR', message })).toMatchObject({
      class: 'transient',
      certainty: 'not_sent',
    })
    expect(judge({ code: 'ERR_HTTP2_STREAM_ERROR', message: 'NGHTTP2_INTERNAL_ERROR' }).certainty).toBe('maybe_applied')
  })

  test('a bad port has no code', () => {
    expect(judge({ code: '', message: 'bad port', phase: 'before_send' }).class).toBe('configuration')
  })
})

describe('whoever gave up', () => {
  test("the caller's own signal is a cancellation, whatever the code; what it left behind is told by the phase", () => {
    for (const code of ['UND_ERR_SOCKET', 'AbortError', 'TimeoutError', 'odd']) {
      expect(judge({ code, cancelledByCaller: true })).toMatchObject({
        class: 'cancelled',
        certainty: 'maybe_applied',
        countsAgainstBreaker: false,
      })
      expect(judge({ code, cancelledByCaller: true, phase: 'before_send' }).certainty).toBe('not_sent')
    }
  })
})

describe('what it tells', () => {
  test('names call, code and phase, and hides secrets', () => {
    const message = `connect failed for https://user:${'p'.repeat(12)}@api.example.com`
    expect(judge({ code: 'ECONNRESET', message }).message).toBe(
      'POST /people lost its connection (ECONNRESET, waiting_for_headers): connect failed for https://[redacted]@api.example.com',
    )
  })

  test('a certificate that is not valid yet hints at the clock', () => {
    expect(judge({ code: 'CERT_NOT_YET_VALID' }).hint).toContain('clock')
  })

  test('any code, phase and text gives a whole failure', () => {
    fc.assert(
      fc.property(fc.string(), fc.constantFrom(...PHASES), fc.string(), (code, phase, message) => {
        const failure = judge({ code, phase, message })
        expect(failure.hint).not.toBe('')
        expect(failure.rule).not.toBe('')
      }),
    )
    for (const code of ['__proto__', 'constructor', 'toString']) expect(judge({ code }).class).toBe('unknown')
  })
})
