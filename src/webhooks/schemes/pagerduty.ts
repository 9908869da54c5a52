import { macScheme } from '../mac-scheme.ts'

/** PagerDuty, webhooks v3, "Verifying signatures" (facts.md section 3). */
export const pagerduty = macScheme({
  headers: ['x-pagerduty-signature'],
  prefix: 'v1=',
  separator: ',',
  event: { id: [[{ body: 'event.id' }]], type: [{ body: 'event.event_type' }] },
})
