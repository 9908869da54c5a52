import { createHash } from 'node:crypto'
import { parse, stringify } from 'node:querystring'
import { macScheme, sameText } from '../mac-scheme.ts'
import type { ReadRequest } from '../request.ts'
import { textOf } from '../values.ts'

/**
 * Twilio, "Webhooks security": the key is the auth token; address and form are signed, or the address with a digest of the body
 * in it. The token that names an event is not signed. What it gets back is TwiML that asks for nothing.
 */
export const twilio = macScheme({
  headers: ['x-twilio-signature'],
  algorithm: 'sha1',
  encoding: 'base64',
  signedText: '{url}{body}',
  urls: addresses,
  bodies: signedBodies,
  event: {
    id: [[{ header: 'i-twilio-idempotency-token' }]],
    type: [{ body: 'EventType' }, { body: 'MessageStatus' }, { body: 'CallStatus' }],
  },
  acknowledgement: { body: '<Response/>', contentType: 'text/xml' },
})

/** Names and values of the form, sorted; nothing where the body is vouched for by its digest in the address. */
function signedBodies({ body, url }: Pick<ReadRequest, 'body' | 'url'>): string[] {
  const digest = URL.parse(url)?.searchParams.get('bodySHA256')
  if (typeof digest === 'string') {
    return sameText(digest, createHash('sha256').update(body).digest('hex')) ? [''] : []
  }
  const text = textOf(body)
  if (text === undefined) return []
  const form = new URLSearchParams(text)
  const names = [...new Set(form.keys())].sort()
  return [
    names
      .map((name) =>
        [...new Set(form.getAll(name))]
          .sort()
          .map((value) => name + value)
          .join(''),
      )
      .join(''),
  ]
}

/** Twilio signs what stands in its settings; with or without a port, and with its query escaped in one of three ways. */
function addresses(url: string): string[] {
  const normal = URL.parse(url)?.href
  const forms = normal === undefined ? [url] : [url, normal, normal.replaceAll('%27', "'"), withLegacyQuery(normal)]
  return [...new Set(forms.flatMap((form) => [withoutPort(form), withPort(form), form]))]
}

const AUTHORITY = /^(https?:\/\/)([^/?#]*?)(:\d+)?(?=[/?#]|$)/i

function withoutPort(url: string): string {
  return url.replace(AUTHORITY, '$1$2')
}

function withPort(url: string): string {
  return url.replace(AUTHORITY, (_all, scheme: string, host: string, port: string | undefined) => {
    return `${scheme}${host}${port ?? (scheme.toLowerCase() === 'https://' ? ':443' : ':80')}`
  })
}

function withLegacyQuery(url: string): string {
  const mark = url.indexOf('?')
  return mark < 0 || mark === url.length - 1 ? url : `${url.slice(0, mark)}?${stringify(parse(url.slice(mark + 1)))}`
}
