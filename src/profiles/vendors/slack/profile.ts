/** Slack: the Web API, and the plain texts of incoming webhooks. */
import type { Profile } from '../../../config/profile.ts'
import { SLACK_DOCS, slackRules } from './rules.ts'

export const slack: Profile = {
  name: 'slack',
  title: 'Slack',
  docs: [
    'https://docs.slack.dev/apis/web-api/',
    SLACK_DOCS.limits.url,
    SLACK_DOCS.errors.url,
    'https://docs.slack.dev/authentication/using-token-rotation',
  ],
  baseUrl: 'https://slack.com/api',
  auth: {
    kinds: ['bearer', 'refresh_token'],
    tokenUrl: 'https://slack.com/api/oauth.v2.access',
    note: 'Tokens live for ever, or twelve hours where the app rotates them.',
  },
  errorPaths: {
    code: ['error', 'response_metadata.messages[]'],
    message: ['response_metadata.messages[]', 'detail', 'error'],
  },
  rules: slackRules,
  endpoints: {
    // A second message is a second message: Slack has no keys.
    'POST /chat.postMessage': { idempotency: 'unsafe', source: SLACK_DOCS.errors },
    'POST /chat.postEphemeral': { idempotency: 'unsafe' },
    'POST /chat.scheduleMessage': { idempotency: 'unsafe' },
    // Sets the text of one message, named by its time.
    'POST /chat.update': { idempotency: 'safe' },
    'POST /auth.test': { idempotency: 'safe' },
    'POST /conversations.join': { idempotency: 'safe' },
    'POST /conversations.open': { idempotency: 'safe' },
    'POST /conversations.setPurpose': { idempotency: 'safe' },
    'POST /conversations.setTopic': { idempotency: 'safe' },
    'POST /users.profile.set': { idempotency: 'safe' },
    'POST /views.publish': { idempotency: 'safe' },
    'POST /pins.add': { idempotency: { natural: 'timestamp' } },
    'POST /reactions.add': { idempotency: { natural: 'timestamp' } },
  },
  redact: ['response_url', 'webhook_url'],
}
