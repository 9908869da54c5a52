/** Answers that say what went wrong in a form that programs read (RFC 9457). */

export interface PlainAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface Problem {
  readonly status: number
  /** Stable, lower_snake_case. */
  readonly code: string
  readonly title: string
  readonly detail?: string
  readonly headers?: Readonly<Record<string, string>>
}

export function problemAnswer({ status, code, title, detail, headers }: Problem): PlainAnswer {
  return {
    status,
    headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store', ...headers },
    body: JSON.stringify({ type: 'about:blank', title, status, code, ...(detail !== undefined && { detail }) }),
  }
}

export function toResponse({ status, headers, body }: PlainAnswer): Response {
  return new Response(body === '' ? null : body, { status, headers })
}
