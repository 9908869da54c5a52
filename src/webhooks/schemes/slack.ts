import { macScheme } from '../mac-scheme.ts'
import { valueAt } from '../values.ts'

/** Slack, "Verifying requests from Slack"; `url_verification` is answered with its challenge once it is verified. */
export const slack = macScheme({
  headers: ['x-slack-signature'],
  prefix: 'v0=',
  signedText: 'v0:{timestamp}:{body}',
  timestamp: { header: 'x-slack-request-timestamp', unit: 'seconds' },
  toleranceMs: 300_000,
  event: {
    id: [[{ body: 'event_id' }], [{ body: 'trigger_id' }]],
    type: [{ body: 'event.type' }, { body: 'command' }, { body: 'type' }],
  },
  handshake(json) {
    if (valueAt(json, 'type') !== 'url_verification') return undefined
    const challenge = valueAt(json, 'challenge')
    return challenge === undefined ? undefined : { body: challenge, contentType: 'text/plain' }
  },
})
