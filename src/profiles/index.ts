/** `holdfast/profiles`: what is known about vendors, as data. Their sample answers are in `samples.ts`. */
import type { Profile } from '../config/profile.ts'
import { airtable } from './vendors/airtable/profile.ts'
import { anthropic } from './vendors/anthropic/profile.ts'
import { apollo } from './vendors/apollo/profile.ts'
import { clay } from './vendors/clay/profile.ts'
import { genericEnvelope } from './vendors/generic-envelope/profile.ts'
import { github } from './vendors/github/profile.ts'
import { google } from './vendors/google/profile.ts'
import { hubspot } from './vendors/hubspot/profile.ts'
import { intercom } from './vendors/intercom/profile.ts'
import { microsoftGraph } from './vendors/microsoft-graph/profile.ts'
import { notion } from './vendors/notion/profile.ts'
import { openai } from './vendors/openai/profile.ts'
import { outreach } from './vendors/outreach/profile.ts'
import { salesforce } from './vendors/salesforce/profile.ts'
import { salesforceBulk } from './vendors/salesforce-bulk/profile.ts'
import { salesloft } from './vendors/salesloft/profile.ts'
import { segment } from './vendors/segment/profile.ts'
import { sendgrid } from './vendors/sendgrid/profile.ts'
import { shopify } from './vendors/shopify/profile.ts'
import { shopifyGraphql } from './vendors/shopify-graphql/profile.ts'
import { slack } from './vendors/slack/profile.ts'
import { stripe } from './vendors/stripe/profile.ts'
import { twilio } from './vendors/twilio/profile.ts'
import { zendesk } from './vendors/zendesk/profile.ts'
import { zoominfo } from './vendors/zoominfo/profile.ts'

export type { Profile, ProfileEndpoint, ProfileSamples } from '../config/profile.ts'
export type { FactSource, ProfileRule, RuleSample } from '../config/profile-rule.ts'
export {
  airtable,
  anthropic,
  apollo,
  clay,
  genericEnvelope,
  github,
  google,
  hubspot,
  intercom,
  microsoftGraph,
  notion,
  openai,
  outreach,
  salesforce,
  salesforceBulk,
  salesloft,
  segment,
  sendgrid,
  shopify,
  shopifyGraphql,
  slack,
  stripe,
  twilio,
  zendesk,
  zoominfo,
}

/** What `profile: NAME` may name without more. */
export const BUILT_IN_PROFILES: readonly Profile[] = [
  airtable,
  anthropic,
  apollo,
  clay,
  genericEnvelope,
  github,
  google,
  hubspot,
  intercom,
  microsoftGraph,
  notion,
  openai,
  outreach,
  salesforce,
  salesforceBulk,
  salesloft,
  segment,
  sendgrid,
  shopify,
  shopifyGraphql,
  slack,
  stripe,
  twilio,
  zendesk,
  zoominfo,
]
