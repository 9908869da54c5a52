import { macScheme } from '../mac-scheme.ts'

/** Linear, "Securing webhooks": the time that is signed stands in the body, not in the header (facts.md section 3). */
export const linear = macScheme({
  headers: ['linear-signature'],
  timestamp: { body: 'webhookTimestamp', unit: 'milliseconds' },
  toleranceMs: 60_000,
  event: { id: [[{ header: 'linear-delivery' }]], type: [{ header: 'linear-event' }, { body: 'type' }] },
})
