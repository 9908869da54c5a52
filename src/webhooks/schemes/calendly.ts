import { macScheme } from '../mac-scheme.ts'

/** Calendly, "Webhook signatures" (facts.md section 3). An invitee has each kind of event once. */
export const calendly = macScheme({
  headers: ['calendly-webhook-signature'],
  prefix: 'v1=',
  separator: ',',
  signedText: '{timestamp}.{body}',
  timestamp: { entry: 't=', unit: 'seconds' },
  toleranceMs: 180_000,
  event: { id: [[{ body: 'event' }, { body: 'payload.uri' }]], type: [{ body: 'event' }] },
})
