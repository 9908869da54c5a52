import { macScheme } from '../mac-scheme.ts'

/** Outreach, "Webhooks": sends no id, and does not send again whatever the answer was (facts.md section 3). */
export const outreach = macScheme({
  headers: ['outreach-webhook-signature'],
  event: { id: [], type: [{ body: 'meta.eventName' }] },
})
