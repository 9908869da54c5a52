import { macScheme } from '../mac-scheme.ts'
import type { EventFacts } from '../scheme.ts'

/** `eventId` alone is not unique (facts.md section 3). A body that is no list, as from workflows, is known by its digest. */
const event: EventFacts = {
  id: [[{ body: 'portalId' }, { body: 'subscriptionId' }, { body: 'eventId' }, { body: 'occurredAt' }]],
  type: [{ body: 'subscriptionType' }],
  batch: true,
}

/** Of the signed address, and no others. */
const DECODED = /%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)/gi

/** HubSpot, signature v3, "Validating requests": with a time, which is in milliseconds. */
export const hubspot = macScheme({
  headers: ['x-hubspot-signature-v3'],
  encoding: 'base64',
  signedText: '{method}{url}{body}{timestamp}',
  urls: (url) => [url.replace(DECODED, (code) => decodeURIComponent(code))],
  timestamp: { header: 'x-hubspot-request-timestamp', unit: 'milliseconds' },
  toleranceMs: 300_000,
  event,
})

/** Signature v2: without a time, so a copy of a request stays good. */
export const hubspotV2 = macScheme({
  headers: ['x-hubspot-signature'],
  keyed: 'prepended',
  signedText: '{method}{url}{body}',
  event,
})

/** Signature v1: over the body alone. */
export const hubspotV1 = macScheme({
  headers: ['x-hubspot-signature'],
  keyed: 'prepended',
  event,
})
