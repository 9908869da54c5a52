/** Headers of every answer. */

const SECURITY: Readonly<Record<string, string>> = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'x-frame-options': 'DENY',
  'cache-control': 'no-store',
}

/** A handler that set one itself knows better. */
export function withHeaders(response: Response, correlationId: string, isClosing: boolean): Response {
  // Answers of `fetch` cannot be changed: those of the proxy are copied, their body is not read.
  const headers = new Headers(response.headers)
  for (const [name, value] of Object.entries(SECURITY)) if (!headers.has(name)) headers.set(name, value)
  headers.set('x-correlation-id', correlationId)
  if (isClosing) headers.set('connection', 'close')
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers })
}

/** The same for answers that were never a `Response`; names in lower case. */
export function allHeaders<Value extends string | string[]>(
  headers: Readonly<Record<string, Value>>,
  correlationId: string,
  isClosing: boolean,
): Record<string, Value | string> {
  const all: Record<string, Value | string> = { ...SECURITY, ...headers, 'x-correlation-id': correlationId }
  if (isClosing) all['connection'] = 'close'
  return all
}
