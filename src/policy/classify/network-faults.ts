/**
 * What a call that got no whole answer means: the table of facts.md section 5, as data. C20 is the lesson: every code is
 * listed, and tested, because a DNS or TLS error in the wrong class loses records.
 */
import type { Certainty, FailureClass } from '../../core/failure.ts'
import { CLASS_WORDS } from '../explain-words.ts'
import type { NetworkFault } from './classify.ts'

/**
 * What a fault tells about the request by itself.
 * - `never`: it cannot happen once the request is on its way.
 * - `by_phase`: how far the call had come decides.
 * - `processed`: headers had arrived, so the API has dealt with it.
 */
export type SentKnowledge = 'never' | 'by_phase' | 'processed'

export interface FaultRule {
  readonly class: FailureClass
  readonly sent: SentKnowledge
  readonly countsAgainstBreaker: boolean
  readonly maxRetries?: number
  /** Completes "the call ...". */
  readonly meaning: string
  readonly hint: string
  /** Only before the connection stands; afterwards the code means an ordinary broken connection. */
  readonly handshakeOnly?: boolean
}

type FaultText = Partial<Omit<FaultRule, 'class' | 'sent' | 'meaning'>>

function rule(failureClass: FailureClass, sent: SentKnowledge, meaning: string, text: FaultText = {}): FaultRule {
  return {
    class: failureClass,
    sent,
    meaning,
    countsAgainstBreaker: failureClass === 'transient',
    hint: CLASS_WORDS[failureClass].hint,
    ...text,
  }
}

const CANNOT_CONNECT =
  'Check baseUrl, the firewall and the network of this machine; look at the status page of the API.'
const CHECK_NAME = 'Check the host name in baseUrl and the DNS of this machine.'
const SLOW =
  'If it happens often, see which timeout fits this endpoint: holdfast doctor --timeouts (2-3 times its p99, R152).'
const BUG = 'The request could not even be built: correct URL, headers and body of this endpoint.'
const CERTIFICATE =
  'The certificate of the API is not trusted: check baseUrl and the trusted roots (NODE_EXTRA_CA_CERTS); never turn verification off.'
const TOO_BIG = 'Raise maxResponseBytes of this endpoint, or ask the API for smaller pages.'

const connectionBroke = rule('transient', 'by_phase', 'lost its connection')
const cancelled = rule('cancelled', 'by_phase', 'was aborted by its caller')
const unreachable = rule('transient', 'by_phase', 'could not reach the API', { hint: CANNOT_CONNECT })
const unresolved = rule('transient', 'never', 'could not resolve the host name', { maxRetries: 2, hint: CHECK_NAME })
const localResource = rule('transient', 'never', 'could not open a connection: this machine has run out of something', {
  countsAgainstBreaker: false,
  hint: 'Raise the limit of open files or ports on this machine, or lower the concurrency of the worker.',
})
const badRequest = rule('configuration', 'never', 'could not be built', { hint: BUG })
const ownClientClosed = rule('transient', 'by_phase', 'was cut off because this process shuts down', {
  countsAgainstBreaker: false,
  hint: 'Nothing to do: another worker, or the next start, goes on.',
})
const proxyFailed = rule('transient', 'never', 'could not get through the proxy', {
  maxRetries: 2,
  countsAgainstBreaker: false,
  hint: 'Check the address and the TLS set-up of the proxy between here and the API.',
})
const badCertificate = rule('configuration', 'never', 'did not trust the certificate', { hint: CERTIFICATE })
const badHandshake = rule('configuration', 'by_phase', 'could not agree on TLS', {
  handshakeOnly: true,
  hint: 'Check that baseUrl says https and names the right port, and which TLS versions the API accepts.',
})
const brokenHttp = rule('malformed_response', 'by_phase', 'got something that is not HTTP', {
  maxRetries: 1,
  countsAgainstBreaker: true,
  hint: 'A proxy, or the API, breaks the protocol: look at what stands between, and tell the support of the vendor.',
})
/** Not `too_large`: that is about the request, and would split a batch that has been executed. */
const answerTooBig = rule('malformed_response', 'processed', 'got an answer larger than allowed', {
  maxRetries: 0,
  hint: TOO_BIG,
})
const bodyStopped = rule('transient', 'processed', 'lost the body of the answer', { hint: SLOW })
const timedOut = rule('transient', 'by_phase', 'took too long', { hint: SLOW })

export const FAULT_RULES: Readonly<Record<string, FaultRule>> = {
  // Ours: see `TimeoutSettings`.
  timeout_connect: rule('transient', 'never', 'could not connect in time', { hint: CANNOT_CONNECT }),
  timeout_headers: timedOut,
  timeout_body: bodyStopped,
  timeout_total: timedOut,
  response_too_large: answerTooBig,
  no_longer_allowed: rule('transient', 'never', 'was not sent: its worker had lost it meanwhile', {
    countsAgainstBreaker: false,
    hint: 'Nothing to do: another worker, or the next try, goes on.',
  }),

  ECONNREFUSED: rule('transient', 'never', 'was refused a connection', { hint: CANNOT_CONNECT }),
  ENOTFOUND: unresolved,
  EAI_AGAIN: rule('transient', 'never', 'got no answer from DNS', { hint: CHECK_NAME }),
  EAI_FAIL: unresolved,
  EAI_NODATA: unresolved,
  EAI_NONAME: unresolved,
  ENODATA: unresolved,
  EHOSTUNREACH: unreachable,
  ENETUNREACH: unreachable,
  ENETDOWN: unreachable,
  EHOSTDOWN: unreachable,
  UND_ERR_CONNECT_TIMEOUT: rule('transient', 'never', 'could not connect in time', { hint: CANNOT_CONNECT }),
  ETIMEDOUT: timedOut,
  ESOCKETTIMEDOUT: timedOut,
  ECONNRESET: connectionBroke,
  EPIPE: connectionBroke,
  ECONNABORTED: connectionBroke,
  UND_ERR_SOCKET: connectionBroke,
  UND_ERR_HEADERS_TIMEOUT: timedOut,
  UND_ERR_BODY_TIMEOUT: bodyStopped,
  terminated: bodyStopped,
  TimeoutError: timedOut,
  AbortError: cancelled,
  ABORT_ERR: cancelled,
  UND_ERR_ABORTED: cancelled,
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: { ...brokenHttp, sent: 'processed' },
  UND_ERR_HEADERS_OVERFLOW: { ...answerTooBig, hint: 'The headers of the answer are too large: tell the vendor.' },
  UND_ERR_RES_EXCEEDED_MAX_SIZE: answerTooBig,
  UND_ERR_INVALID_ARG: badRequest,
  UND_ERR_NOT_SUPPORTED: badRequest,
  UND_ERR_REQ_CONTENT_LENGTH_MISMATCH: badRequest,
  ERR_INVALID_URL: badRequest,
  ERR_INVALID_ARG_TYPE: badRequest,
  ERR_INVALID_CHAR: badRequest,
  ERR_INVALID_HTTP_TOKEN: badRequest,
  ERR_UNESCAPED_CHARACTERS: badRequest,
  'bad port': badRequest,
  UND_ERR_DESTROYED: ownClientClosed,
  UND_ERR_CLOSED: ownClientClosed,
  UND_ERR_PRX_TLS: proxyFailed,
  UND_ERR_PRX_CONN: proxyFailed,

  DEPTH_ZERO_SELF_SIGNED_CERT: badCertificate,
  SELF_SIGNED_CERT_IN_CHAIN: badCertificate,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: badCertificate,
  UNABLE_TO_GET_ISSUER_CERT: badCertificate,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: badCertificate,
  CERT_UNTRUSTED: badCertificate,
  CERT_REJECTED: badCertificate,
  CERT_SIGNATURE_FAILURE: badCertificate,
  INVALID_CA: badCertificate,
  CERT_HAS_EXPIRED: {
    ...badCertificate,
    hint: 'The certificate of the API has expired: tell the vendor; check the clock of this machine too.',
  },
  CERT_NOT_YET_VALID: {
    ...badCertificate,
    hint: 'The certificate is not valid yet: most likely the clock of this machine is behind. Set it by NTP.',
  },
  CERT_REVOKED: {
    ...badCertificate,
    hint: 'The certificate of the API was revoked: do not send anything; tell the vendor.',
  },
  ERR_TLS_CERT_ALTNAME_INVALID: {
    ...badCertificate,
    hint: 'The certificate is for another host name: check baseUrl, and for a proxy in between.',
  },
  ERR_SSL_WRONG_VERSION_NUMBER: {
    ...badHandshake,
    sent: 'never',
    handshakeOnly: false,
    hint: 'The port does not speak TLS: check that https and the port in baseUrl belong together.',
  },
  EPROTO: badHandshake,

  /** RFC 9113 section 8.7: a refused stream was not processed. */
  NGHTTP2_REFUSED_STREAM: rule('transient', 'never', 'was refused by the server before it was processed'),
  ERR_HTTP2_STREAM_ERROR: connectionBroke,
  ERR_HTTP2_SESSION_ERROR: connectionBroke,
  ERR_HTTP2_GOAWAY_SESSION: connectionBroke,
  ERR_STREAM_PREMATURE_CLOSE: connectionBroke,

  EMFILE: localResource,
  ENFILE: localResource,
  EADDRNOTAVAIL: localResource,
  ENOBUFS: localResource,
  ENOMEM: localResource,
}

const PREFIX_RULES: readonly (readonly [prefix: string, rule: FaultRule])[] = [
  ['HPE_', brokenHttp],
  ['ERR_SSL_', badHandshake],
  ['ERR_TLS_', badHandshake],
]

/** R005: a fault that nobody has listed yet. */
const UNLISTED = rule('unknown', 'by_phase', 'ended with a network error that no rule knows', {
  maxRetries: 2,
  countsAgainstBreaker: true,
})

/** The rule for a fault, and the name it is found under. */
export function ruleForFault(fault: NetworkFault): { readonly rule: FaultRule; readonly name: string } {
  if (fault.cancelledByCaller === true) return { rule: cancelled, name: 'cancelled_by_caller' }
  const found = lookUp(fault)
  if (!found) return { rule: UNLISTED, name: 'unlisted' }
  // A TLS error on a connection that stood is a broken connection.
  if (found.rule.handshakeOnly === true && !provesNothingSent(fault)) return { rule: connectionBroke, name: found.name }
  return found
}

function lookUp({ code, message }: NetworkFault): { rule: FaultRule; name: string } | undefined {
  // The stream error carries its HTTP/2 code only in its text.
  if (code.startsWith('ERR_HTTP2_') && message.includes('NGHTTP2_REFUSED_STREAM'))
    return named('NGHTTP2_REFUSED_STREAM')
  if (Object.hasOwn(FAULT_RULES, code)) return named(code)
  // fetch refuses some ports and names no code.
  if (message === 'bad port') return named('bad port')
  const prefix = PREFIX_RULES.find(([start]) => code.startsWith(start))
  return prefix && { rule: prefix[1], name: `${prefix[0]}*` }
}

function named(name: string): { rule: FaultRule; name: string } | undefined {
  const found = FAULT_RULES[name]
  return found && { rule: found, name }
}

const CONNECTING_SYSCALLS = new Set(['connect', 'getaddrinfo', 'queryA', 'queryAaaa', 'socket', 'bind'])

/** True where the fault itself proves that no byte of the request left. */
export function provesNothingSent(fault: NetworkFault): boolean {
  if (fault.status !== undefined || fault.phase === 'reading_body') return false
  if (fault.phase === 'before_send' || fault.phase === 'connect') return true
  return fault.bytesWritten === 0 || CONNECTING_SYSCALLS.has(fault.syscall ?? '')
}

/** What is known about the effect of a write that ended so. */
export function certaintyOfFault(rule: FaultRule, fault: NetworkFault): Certainty {
  return rule.sent === 'never' || (rule.sent === 'by_phase' && provesNothingSent(fault)) ? 'not_sent' : 'maybe_applied'
}
