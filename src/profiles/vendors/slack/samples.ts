import type { ProfileSamples } from '../../../config/profile.ts'
import type { RuleSample } from '../../../config/profile-rule.ts'
import type { Json } from '../../../core/json.ts'

const headers = { 'x-slack-req-id': '0a1b2c3d4e5f60718293a4b5c6d7e8f9' }

function saying(error: string, more: { readonly [name: string]: Json } = {}, path = '/chat.postMessage'): RuleSample {
  return { status: 200, headers, path, body: { ok: false, error, ...more } }
}

export const slackSamples: ProfileSamples = {
  limited: [
    {
      status: 429,
      headers: { ...headers, 'retry-after': '30' },
      path: '/chat.postMessage',
      body: { ok: false, error: 'ratelimited' },
    },
  ],
  'limited-with-200': [saying('ratelimited'), saying('rate_limited')],
  'not-available': [saying('service_unavailable')],
  'upload-cut-short': [saying('request_timeout')],
  'internal-error': [saying('internal_error'), saying('fatal_error')],
  'workspace-migrating': [saying('team_added_to_org')],
  'token-refused': [saying('invalid_auth'), saying('token_expired'), saying('account_inactive')],
  'missing-scope': [saying('missing_scope', { needed: 'chat:write', provided: 'channels:read,users:read' })],
  'not-in-channel': [saying('not_in_channel')],
  'not-allowed': [saying('not_allowed_token_type'), saying('restricted_action')],
  'not-found': [saying('channel_not_found'), saying('users_not_found', {}, '/users.lookupByEmail')],
  archived: [saying('is_archived')],
  'there-already': [saying('already_reacted', {}, '/reactions.add')],
  'name-taken': [
    saying('name_taken', { detail: 'A channel cannot be created with this name.' }, '/conversations.create'),
  ],
  'too-long': [saying('msg_too_long'), saying('msg_blocks_too_long')],
  'call-is-wrong': [saying('unknown_method', { req_method: 'chat.post' }, '/chat.post'), saying('invalid_form_data')],
  'other-error': [
    saying('invalid_blocks', {
      errors: ['missing required field: text [json-pointer:/blocks/0]'],
      response_metadata: { messages: ['[ERROR] missing required field: text [json-pointer:/blocks/0]'] },
    }),
    saying('no_text'),
  ],
  'webhook-gone': [
    { status: 404, headers, path: '/services/{team}/{app}/{secret}', body: 'no_service' },
    { status: 410, headers, path: '/services/{team}/{app}/{secret}', body: 'channel_is_archived' },
  ],
}
