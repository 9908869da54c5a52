/**
 * Secrets known by their value: an API that repeats one in its answer, wherever it puts it, has it replaced before anything
 * is read from that answer (rule 7). What is hidden by name and shape is the work of `policy/redact.ts`.
 */
import type { IntegrationSettings } from '../../config/settings.ts'
import type { Failure } from '../../core/failure.ts'
import { REDACTED, redactHeaders } from '../../policy/redact.ts'
import type { TransportAnswer } from '../wire/transport.ts'

/** Shorter ones stand in anything: hiding them would make every message unreadable. */
const SHORTEST = 6
/** A good answer is data: only what cannot stand there by chance is taken out of it. */
const SHORTEST_IN_DATA = 16
/** What stands at the end of a text that was cut off. */
const CUT = '...'
/** Tokens are replaced every hour; the newest may still be on their way back in an answer. */
const MOST = 64

interface Form {
  readonly text: string
  readonly bytes: Buffer
}

export class KnownSecrets {
  readonly #forms = new Map<string, Form>()

  /** In all the forms that it travels in. */
  add(...secrets: readonly (string | undefined)[]): void {
    for (const secret of secrets) for (const text of formsOf(secret)) this.#keep(text)
  }

  hide(text: string): string {
    let result = text
    for (const form of this.#forms.values()) {
      if (result.includes(form.text)) result = result.replaceAll(form.text, REDACTED)
      if (result.endsWith(CUT)) result = withoutCutSecret(result, form.text)
    }
    return result
  }

  /** The answer without them. The same object where there are none in it. */
  withoutEchoes(raw: TransportAnswer): TransportAnswer {
    const shortest = raw.status < 300 ? SHORTEST_IN_DATA : SHORTEST
    const { body } = raw
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
    let clean: string | undefined
    let headers = raw.headers
    for (const { text, bytes: needle } of this.#forms.values()) {
      if (text.length < shortest) continue
      if (bytes.includes(needle))
        clean = (clean ?? bytes.toString('latin1')).replaceAll(needle.toString('latin1'), REDACTED)
      headers = withoutText(headers, text)
    }
    if (clean === undefined && headers === raw.headers) return raw
    return { ...raw, headers, body: clean === undefined ? body : Buffer.from(clean, 'latin1') }
  }

  #keep(text: string): void {
    this.#forms.delete(text)
    this.#forms.set(text, { text, bytes: Buffer.from(text) })
    if (this.#forms.size <= MOST) return
    const [oldest] = this.#forms.keys()
    if (oldest !== undefined) this.#forms.delete(oldest)
  }
}

/** A text that was cut off may end with the beginning of one. */
function withoutCutSecret(text: string, secret: string): string {
  const end = text.length - CUT.length
  for (let length = Math.min(secret.length - 1, end); length >= SHORTEST; length--) {
    if (!text.startsWith(secret.slice(0, length), end - length)) continue
    return text.slice(0, end - length) + REDACTED + CUT
  }
  return text
}

function withoutText(headers: TransportAnswer['headers'], text: string): TransportAnswer['headers'] {
  for (const name in headers) {
    if (!headers[name]?.includes(text)) continue
    return Object.fromEntries(Object.entries(headers).map(([key, value]) => [key, value.replaceAll(text, REDACTED)]))
  }
  return headers
}

/** As it is, in an address, in a form, in JSON, in the credentials of Basic. The longest first: others may be a part of it. */
function formsOf(secret: string | undefined): string[] {
  if (secret === undefined || secret.length < SHORTEST) return []
  const encoded = encodeURIComponent(secret)
  const forms = [
    secret,
    encoded,
    encoded.replace(/%../g, (byte) => byte.toLowerCase()),
    new URLSearchParams([['', secret]]).toString().slice(1),
  ]
  const all = [...forms, JSON.stringify(secret).slice(1, -1), Buffer.from(secret).toString('base64')]
  return [...new Set(all)].sort((left, right) => right.length - left.length)
}

/** A caller's own. */
export function secretsInHeaders(headers: Readonly<Record<string, string>>): KnownSecrets {
  const secrets = new KnownSecrets()
  const clean = redactHeaders(headers)
  for (const [name, value] of Object.entries(headers)) {
    if (clean[name] !== value) secrets.add(value, value.slice(value.indexOf(' ') + 1))
  }
  return secrets
}

/** Those of all integrations of this process. */
export class SecretBook {
  readonly #byIntegration = new Map<
    string,
    { readonly settings: IntegrationSettings; readonly secrets: KnownSecrets }
  >()

  of(integration: IntegrationSettings): KnownSecrets {
    const known = this.#byIntegration.get(integration.name)
    if (known?.settings === integration) return known.secrets
    const secrets = known?.secrets ?? new KnownSecrets()
    secrets.add(...configuredSecrets(integration))
    this.#byIntegration.set(integration.name, { settings: integration, secrets })
    return secrets
  }

  /** Without the secrets of any integration: for what cannot be told to belong to one. */
  hide(text: string): string {
    let result = text
    for (const { secrets } of this.#byIntegration.values()) result = secrets.hide(result)
    return result
  }
}

function configuredSecrets({ auth, headers }: IntegrationSettings): string[] {
  const named = redactHeaders(headers)
  const ofHeaders = Object.keys(headers).flatMap((name) => (named[name] === REDACTED ? [headers[name] ?? ''] : []))
  switch (auth.type) {
    case 'bearer':
      return [...ofHeaders, auth.token]
    case 'basic':
      return [...ofHeaders, auth.password, `${auth.user}:${auth.password}`]
    case 'header':
      // With a scheme of its own in front, or without.
      return [...ofHeaders, auth.value, auth.value.slice(auth.value.indexOf(' ') + 1)]
    case 'query':
      return [...ofHeaders, auth.value]
    case 'oauth2':
      return [...ofHeaders, auth.clientSecret ?? '', auth.refreshToken ?? '']
    default:
      return ofHeaders
  }
}

/** The failure with every text searched. */
export function hideInFailure(failure: Failure, hide: (text: string) => string): Failure {
  const texts = ['code', 'message', 'userMessage', 'hint', 'subject', 'vendorRequestId', 'bodyExcerpt', 'rule'] as const
  const clean: Record<string, string> = {}
  for (const name of texts) {
    const text = failure[name]
    if (text === undefined) continue
    const hidden = hide(text)
    if (hidden !== text) clean[name] = hidden
  }
  return Object.keys(clean).length === 0 ? failure : { ...failure, ...clean }
}
