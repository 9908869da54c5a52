/** Which good answers have to be read before it is known that they are good. */
import type { IntegrationSettings } from '../../config/settings.ts'
import { isRepeatable } from '../../policy/classify/classify.ts'
import { rulesForStatus } from '../../policy/classify/classify-rules.ts'
import type { Answer, OutboundCall } from '../call/call.ts'

type Headers = Answer['headers']

const HTML_TYPE = /^\s*(?:text\/html|application\/xhtml\+xml)\s*(?:;|$)/i
const JSON_TYPE = /^[^;]*[/+]json\s*(?:;|$)/i

/** A sign-in or error page of something in between, where the caller takes JSON and nothing else (R027). */
export function isPageForJson({ headers, method }: OutboundCall, status: number, answered: Headers): boolean {
  if (status >= 300 || method === 'HEAD' || !HTML_TYPE.test(answered['content-type'] ?? '')) return false
  const accept = headers['accept'] ?? ''
  return accept.includes('json') && !accept.includes('html') && !accept.includes('*/*')
}

/** JSON of an API that says 200 and means an error, as a rule of the integration tells. Streams of events are not JSON. */
export function hidesFailure({ errors }: IntegrationSettings, status: number, answered: Headers): boolean {
  return JSON_TYPE.test(answered['content-type'] ?? '') && rulesForStatus(errors, status).length > 0
}

/**
 * Worth reading ahead, so that one that is cut short can be asked for again while nobody has seen half of it. Only where its
 * length is told: JSON that comes piece by piece may never end.
 */
export function isShortJson({ endpoint, method }: OutboundCall, answered: Headers, limitBytes: number): boolean {
  const length = Number(answered['content-length'] ?? Number.NaN)
  const isJson = JSON_TYPE.test(answered['content-type'] ?? '')
  return isJson && length <= limitBytes && method !== 'HEAD' && isRepeatable(endpoint.idempotency)
}
