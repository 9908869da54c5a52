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
  const byName = new Map<string, string>()
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) byName.set(name.toLowerCase(), typeof value === 'string' ? value : value.join(', '))
  }
  return { method, url, body, header: (name) => byName.get(name.toLowerCase()) }
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
