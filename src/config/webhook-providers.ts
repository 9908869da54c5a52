/** Whose webhooks can be verified: names here, facts in `webhooks/schemes/`. */
export const WEBHOOK_PROVIDERS = [
  'airtable',
  'calendly',
  'github',
  'hmac',
  'hubspot',
  'hubspot-v1',
  'hubspot-v2',
  'intercom',
  'linear',
  'notion',
  'openai',
  'outreach',
  'pagerduty',
  'salesloft',
  'segment',
  'sendgrid',
  'shopify',
  'slack',
  'standard-webhooks',
  'stripe',
  'svix',
  'twilio',
  'typeform',
  'zendesk',
] as const

export type WebhookProvider = (typeof WEBHOOK_PROVIDERS)[number]
