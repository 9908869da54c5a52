import { macScheme } from '../mac-scheme.ts'

/** Airtable, webhooks of a base (facts.md section 3). A notification says only that there is news: its cursor is read by a call. */
export const airtable = macScheme({
  headers: ['x-airtable-content-mac'],
  prefix: 'hmac-sha256=',
  secretEncoding: 'base64',
  event: { id: [], type: [] },
})
