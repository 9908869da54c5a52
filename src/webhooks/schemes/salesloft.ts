import { macScheme } from '../mac-scheme.ts'

/** Salesloft: SHA-1, keyed with the `callback_token` of the subscription (facts.md section 3). */
export const salesloft = macScheme({
  headers: ['x-salesloft-signature'],
  algorithm: 'sha1',
  event: { id: [], type: [{ header: 'x-salesloft-event' }] },
})
