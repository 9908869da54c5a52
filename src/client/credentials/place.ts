/** Where a credential stands in a request. */
import type { AuthSettings, RequestSigner, StoredAuthSettings } from '../../config/settings.ts'
import type { Clock } from '../../core/clock.ts'
import { configurationError, messageOf } from '../../core/errors.ts'
import { redactText } from '../../policy/redact.ts'
import { checkHeader } from '../call/outgoing.ts'
import type { TransportRequest } from '../wire/transport.ts'

type Placing = Pick<StoredAuthSettings, 'sendAs' | 'name'>

export const AS_BEARER: Placing = { sendAs: 'bearer', name: '' }

/** @throws HoldfastError `invalid_header` */
export function withSecret(request: TransportRequest, { sendAs, name }: Placing, secret: string): TransportRequest {
  switch (sendAs) {
    case 'bearer':
      return withHeaders(request, { authorization: `Bearer ${secret}` })
    case 'basic':
      return withHeaders(request, { authorization: `Basic ${Buffer.from(secret).toString('base64')}` })
    case 'header':
      return withHeaders(request, { [name]: secret })
    case 'query':
      return withQueryParameter(request, name, secret)
  }
}

export function withQueryParameter(request: TransportRequest, name: string, value: string): TransportRequest {
  const separator = request.path.includes('?') ? '&' : '?'
  return { ...request, path: `${request.path}${separator}${encodeURIComponent(name)}=${encodeURIComponent(value)}` }
}

/**
 * The request with what the caller's hook adds to it.
 * @throws HoldfastError `signing_failed`, `invalid_header`; `unsupported_body` for a stream, whose bytes nobody knows
 */
export async function signed(request: TransportRequest, sign: RequestSigner, clock: Clock): Promise<TransportRequest> {
  const { origin, path, method, headers, body } = request
  if (body instanceof ReadableStream) {
    const hint = 'Send it as text or bytes.'
    throw configurationError(
      'unsupported_body',
      'A body that is a stream cannot be signed: its bytes are not known',
      hint,
    )
  }
  const bytes = typeof body === 'string' ? Buffer.from(body) : (body ?? new Uint8Array(0))
  let added: Readonly<Record<string, string>>
  try {
    added = await sign({ method, url: origin + path, headers, body: bytes, atMs: clock.wallMs() })
  } catch (cause) {
    throw configurationError(
      'signing_failed',
      `The \`sign\` function of the configuration threw: ${redactText(messageOf(cause))}`,
      'Nothing was sent. Correct the function.',
    )
  }
  return withHeaders({ ...request, body: body === undefined ? body : bytes }, added)
}

/** The header that carries it, in lower case; `undefined` where none does, or only the signing hook knows. */
export function headerOf(auth: AuthSettings): string | undefined {
  if (auth.type === 'header') return auth.name.toLowerCase()
  if (auth.type === 'stored' && auth.sendAs === 'header') return auth.name.toLowerCase()
  const isElsewhere = auth.type === 'none' || auth.type === 'query' || auth.type === 'signed'
  return isElsewhere || (auth.type === 'stored' && auth.sendAs === 'query') ? undefined : 'authorization'
}

function withHeaders(request: TransportRequest, added: Readonly<Record<string, string>>): TransportRequest {
  const headers: Record<string, string> = { ...request.headers }
  for (const [name, value] of Object.entries(added)) headers[checkHeader(name, value)] = value
  return { ...request, headers }
}
