/** `holdfast/profiles`: what is known about vendors, as data. Their sample answers are in `samples.ts`. */
import type { Profile } from '../config/profile.ts'
import { airtable } from './vendors/airtable/profile.ts'
import { anthropic } from './vendors/anthropic/profile.ts'
import { genericEnvelope } from './vendors/generic-envelope/profile.ts'
import { github } from './vendors/github/profile.ts'
import { hubspot } from './vendors/hubspot/profile.ts'
import { intercom } from './vendors/intercom/profile.ts'
import { notion } from './vendors/notion/profile.ts'
import { openai } from './vendors/openai/profile.ts'
import { segment } from './vendors/segment/profile.ts'
import { sendgrid } from './vendors/sendgrid/profile.ts'
import { slack } from './vendors/slack/profile.ts'
import { stripe } from './vendors/stripe/profile.ts'
import { twilio } from './vendors/twilio/profile.ts'

export type { Profile, ProfileEndpoint, ProfileSamples } from '../config/profile.ts'
export type { FactSource, ProfileRule, RuleSample } from '../config/profile-rule.ts'
export {
  airtable,
  anthropic,
  genericEnvelope,
  github,
  hubspot,
  intercom,
  notion,
  openai,
  segment,
  sendgrid,
  slack,
  stripe,
  twilio,
}

/** What `profile: NAME` may name without more. */
export const BUILT_IN_PROFILES: readonly Profile[] = [
  airtable,
  anthropic,
  genericEnvelope,
  github,
  hubspot,
  intercom,
  notion,
  openai,
  segment,
  sendgrid,
  slack,
  stripe,
  twilio,
]
