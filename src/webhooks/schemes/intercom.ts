import { macScheme } from '../mac-scheme.ts'

/** Intercom, "Signed notifications": the key is the client secret of the app (facts.md section 3). */
export const intercom = macScheme({
  headers: ['x-hub-signature'],
  prefix: 'sha1=',
  algorithm: 'sha1',
  event: { id: [[{ body: 'id' }]], type: [{ body: 'topic' }] },
})
