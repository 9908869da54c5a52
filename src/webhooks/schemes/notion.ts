import { macScheme } from '../mac-scheme.ts'
import { valueAt } from '../values.ts'

/**
 * Notion, "Webhooks": the first call brings the token that all later ones are signed with. It is given on to be configured;
 * until then nothing is believed (facts.md section 3).
 */
export const notion = macScheme({
  headers: ['x-notion-signature'],
  prefix: 'sha256=',
  event: { id: [[{ body: 'id' }]], type: [{ body: 'type' }] },
  unsignedHandshake(json) {
    const secret = valueAt(json, 'verification_token')
    return secret === undefined ? undefined : { body: '', contentType: 'text/plain', secret }
  },
})
