/** One request to a token endpoint (RFC 6749, sections 2.3.1, 4.4.2 and 6), over the same transport as every other call. */
import type { OAuthSettings } from '../../config/settings.ts'
import type { Clock } from '../../core/clock.ts'
import type { Json } from '../../core/json.ts'
import { judgeTokenAnswer, type TokenVerdict } from '../../policy/credentials.ts'
import type { Transport, TransportRequest } from '../wire/transport.ts'

/** `lost`: it was sent, and what became of it nobody knows. */
export type TokenResult = TokenVerdict | { readonly kind: 'lost'; readonly code: string }

/** Under the lease of the single flight. */
const TIMEOUTS = { connectMs: 5000, headersMs: 15_000, bodyMs: 5000, totalMs: 20_000 }
const LARGEST_ANSWER_BYTES = 256 * 1024

export async function askTokenEndpoint(
  { transport, clock }: { readonly transport: Transport; readonly clock: Clock },
  auth: OAuthSettings,
  refreshToken: string | undefined,
  signal: AbortSignal,
): Promise<TokenResult> {
  const result = await transport.send(tokenRequest(auth, refreshToken, signal))
  if (!result.ok) {
    const { code, phase } = result.fault
    const neverLeft = phase === 'before_send' || phase === 'connect'
    return neverLeft ? { kind: 'later', code, said: '', retryAfterMs: undefined } : { kind: 'lost', code }
  }
  const { status, headers, body } = result.answer
  return judgeTokenAnswer({ status, headers, body: jsonOf(body), receivedAtMs: clock.wallMs() })
}

function tokenRequest(auth: OAuthSettings, refreshToken: string | undefined, signal: AbortSignal): TransportRequest {
  const url = new URL(auth.tokenUrl)
  const form = new URLSearchParams({ grant_type: auth.grant })
  if (refreshToken !== undefined) form.set('refresh_token', refreshToken)
  if (auth.scopes.length > 0) form.set('scope', auth.scopes.join(' '))
  const headers: Record<string, string> = {
    accept: 'application/json',
    'content-type': 'application/x-www-form-urlencoded',
    'user-agent': 'holdfast',
  }
  if (auth.clientAuth === 'basic' && auth.clientSecret !== undefined) {
    headers['authorization'] = `Basic ${basicOf(auth.clientId, auth.clientSecret)}`
  } else {
    form.set('client_id', auth.clientId)
    if (auth.clientSecret !== undefined) form.set('client_secret', auth.clientSecret)
  }
  for (const [name, value] of Object.entries(auth.parameters)) form.set(name, value)
  return {
    origin: url.origin,
    path: url.pathname + url.search,
    method: 'POST',
    headers,
    body: Buffer.from(form.toString()),
    timeouts: TIMEOUTS,
    maxResponseBytes: LARGEST_ANSWER_BYTES,
    signal,
    streamBody: false,
  }
}

/** Id and secret are encoded as in a form first, so that a colon in one of them stays its own. */
function basicOf(clientId: string, clientSecret: string): string {
  return Buffer.from(`${formEncoded(clientId)}:${formEncoded(clientSecret)}`).toString('base64')
}

function formEncoded(text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1)
}

/** JSON, or a form: that is how GitHub once answered. */
function jsonOf(body: Uint8Array): Json | undefined {
  const text = Buffer.from(body).toString('utf8')
  try {
    return JSON.parse(text) as Json
  } catch {
    return /^[\w.-]+=/.test(text) ? Object.fromEntries(new URLSearchParams(text)) : undefined
  }
}
