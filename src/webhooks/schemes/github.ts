import { macScheme } from '../mac-scheme.ts'

/** GitHub, "Validating webhook deliveries" (facts.md section 3). A redelivery keeps its id, which is not signed. */
export const github = macScheme({
  headers: ['x-hub-signature-256'],
  prefix: 'sha256=',
  event: { id: [[{ header: 'x-github-delivery' }]], type: [{ header: 'x-github-event' }] },
})
