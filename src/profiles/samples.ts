/** Recorded answers of all built-in profiles. Apart from them, so that only tests and twins load them. */
import type { ProfileSamples } from '../config/profile.ts'
import { airtableSamples } from './vendors/airtable/samples.ts'
import { anthropicSamples } from './vendors/anthropic/samples.ts'
import { apolloSamples } from './vendors/apollo/samples.ts'
import { claySamples } from './vendors/clay/samples.ts'
import { genericEnvelopeSamples } from './vendors/generic-envelope/samples.ts'
import { githubSamples } from './vendors/github/samples.ts'
import { googleSamples } from './vendors/google/samples.ts'
import { hubspotSamples } from './vendors/hubspot/samples.ts'
import { intercomSamples } from './vendors/intercom/samples.ts'
import { microsoftGraphSamples } from './vendors/microsoft-graph/samples.ts'
import { notionSamples } from './vendors/notion/samples.ts'
import { openaiSamples } from './vendors/openai/samples.ts'
import { outreachSamples } from './vendors/outreach/samples.ts'
import { salesforceSamples } from './vendors/salesforce/samples.ts'
import { salesforceBulkSamples } from './vendors/salesforce-bulk/samples.ts'
import { salesloftSamples } from './vendors/salesloft/samples.ts'
import { segmentSamples } from './vendors/segment/samples.ts'
import { sendgridSamples } from './vendors/sendgrid/samples.ts'
import { shopifySamples } from './vendors/shopify/samples.ts'
import { shopifyGraphqlSamples } from './vendors/shopify-graphql/samples.ts'
import { slackSamples } from './vendors/slack/samples.ts'
import { stripeSamples } from './vendors/stripe/samples.ts'
import { twilioSamples } from './vendors/twilio/samples.ts'
import { zendeskSamples } from './vendors/zendesk/samples.ts'
import { zoominfoSamples } from './vendors/zoominfo/samples.ts'

/** By name of the profile. */
export const BUILT_IN_SAMPLES: Readonly<Record<string, ProfileSamples>> = {
  airtable: airtableSamples,
  anthropic: anthropicSamples,
  apollo: apolloSamples,
  clay: claySamples,
  'generic-envelope': genericEnvelopeSamples,
  github: githubSamples,
  google: googleSamples,
  hubspot: hubspotSamples,
  intercom: intercomSamples,
  'microsoft-graph': microsoftGraphSamples,
  notion: notionSamples,
  openai: openaiSamples,
  outreach: outreachSamples,
  salesforce: salesforceSamples,
  'salesforce-bulk': salesforceBulkSamples,
  salesloft: salesloftSamples,
  segment: segmentSamples,
  sendgrid: sendgridSamples,
  shopify: shopifySamples,
  'shopify-graphql': shopifyGraphqlSamples,
  slack: slackSamples,
  stripe: stripeSamples,
  twilio: twilioSamples,
  zendesk: zendeskSamples,
  zoominfo: zoominfoSamples,
}
