import { macScheme } from '../mac-scheme.ts'

/** Stripe, "Verify webhook signatures": the secret is used as it is written, with its `whsec_` (facts.md section 3). */
export const stripe = macScheme({
  headers: ['stripe-signature'],
  prefix: 'v1=',
  separator: ',',
  signedText: '{timestamp}.{body}',
  timestamp: { entry: 't=', unit: 'seconds' },
  toleranceMs: 300_000,
  event: { id: [[{ body: 'id' }]], type: [{ body: 'type' }] },
})
