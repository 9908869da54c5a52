/** A request as it came in, before anything of it is believed. */

export type WebhookHeaders = Headers | Readonly<Record<string, string | readonly string[] | undefined>>

export interface WebhookRequest {
  readonly method: string
  /** The whole address as the sender has it: some sign it. */
  readonly url: string
  readonly headers: WebhookHeaders
  /** Exactly the bytes that were sent: a body that was parsed and written again verifies nothing. */
  readonly body: Uint8Array
}

/** A request whose headers can be read by name, in any case. */
export interface ReadRequest {
  readonly method: string
  readonly url: string
  readonly body: Uint8Array
  header(name: string): string | undefined
}

export function readRequest(request: WebhookRequest): ReadRequest {
  const { headers, method, url, body } = request
  if (headers instanceof Headers) {
    return { method, url, body, header: (name) => headers.get(name) ?? undefined }
  }
  // Servers give names in lower case: only where one is not found so, all of them are looked through, once.
  let byName: ReadonlyMap<string, string> | undefined
  return {
    method,
    url,
    body,
    header(name) {
      const lower = name.toLowerCase()
      const value = Object.hasOwn(headers, lower) ? headers[lower] : undefined
      if (typeof value === 'string') return value
      byName ??= new Map(Object.entries(allHeaders(headers)))
      return byName.get(lower)
    },
  }
}

/** All headers by their name in lower case. */
export function allHeaders(headers: WebhookHeaders): Record<string, string> {
  const entries = headers instanceof Headers ? [...headers] : Object.entries(headers)
  return Object.fromEntries(
    entries.flatMap(([name, value]) =>
      value === undefined ? [] : [[name.toLowerCase(), typeof value === 'string' ? value : value.join(', ')]],
    ),
  )
}
