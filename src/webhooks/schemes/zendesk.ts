import { macScheme } from '../mac-scheme.ts'

/**
 * Zendesk, "Verifying webhook authenticity": time and body without anything between (facts.md section 3). Nobody says whether a
 * retry is signed anew: the time is not judged by itself.
 */
export const zendesk = macScheme({
  headers: ['x-zendesk-webhook-signature'],
  encoding: 'base64',
  signedText: '{timestamp}{body}',
  timestamp: { header: 'x-zendesk-webhook-signature-timestamp', unit: 'iso' },
  event: { id: [[{ header: 'x-zendesk-webhook-invocation-id' }]], type: [{ body: 'type' }] },
})
