/** All schemes by the name of their provider. */
import type { WebhookProvider } from '../../config/webhook-providers.ts'
import type { HmacSettings } from '../../config/webhook-settings.ts'
import { macScheme } from '../mac-scheme.ts'
import type { WebhookScheme } from '../scheme.ts'
import { airtable } from './airtable.ts'
import { calendly } from './calendly.ts'
import { github } from './github.ts'
import { hubspot, hubspotV1, hubspotV2 } from './hubspot.ts'
import { intercom } from './intercom.ts'
import { linear } from './linear.ts'
import { notion } from './notion.ts'
import { outreach } from './outreach.ts'
import { pagerduty } from './pagerduty.ts'
import { salesloft } from './salesloft.ts'
import { segment } from './segment.ts'
import { sendgrid } from './sendgrid.ts'
import { shopify } from './shopify.ts'
import { slack } from './slack.ts'
import { openai, standardWebhooks, svix } from './standard.ts'
import { stripe } from './stripe.ts'
import { twilio } from './twilio.ts'
import { typeform } from './typeform.ts'
import { zendesk } from './zendesk.ts'

export const SCHEMES: Readonly<Record<Exclude<WebhookProvider, 'hmac'>, WebhookScheme>> = {
  airtable,
  calendly,
  github,
  hubspot,
  'hubspot-v1': hubspotV1,
  'hubspot-v2': hubspotV2,
  intercom,
  linear,
  notion,
  openai,
  outreach,
  pagerduty,
  salesloft,
  segment,
  sendgrid,
  shopify,
  slack,
  'standard-webhooks': standardWebhooks,
  stripe,
  svix,
  twilio,
  typeform,
  zendesk,
}

const HMAC_TOLERANCE_MS = 300_000

/** What a configuration says about a sender that Holdfast does not know. */
export function hmacScheme(settings: HmacSettings): WebhookScheme {
  const { header, timestamp, id, type, signedText, batch = false, ...rest } = settings
  const signsId = signedText?.includes('{id}') ?? false
  return macScheme({
    ...rest,
    headers: [header.toLowerCase()],
    ...(signedText !== undefined && { signedText }),
    ...(timestamp && {
      timestamp: { header: timestamp.header, unit: timestamp.unit ?? 'seconds' },
      toleranceMs: HMAC_TOLERANCE_MS,
    }),
    ...(signsId && id && 'header' in id && { idHeader: id.header }),
    event: { id: id ? [[id]] : [], type: type ? [type] : [], batch },
  })
}
