import { macScheme } from '../mac-scheme.ts'

/** Typeform, "Secure your webhooks" (facts.md section 3). */
export const typeform = macScheme({
  headers: ['typeform-signature'],
  prefix: 'sha256=',
  encoding: 'base64',
  event: { id: [[{ body: 'event_id' }]], type: [{ body: 'event_type' }] },
})
