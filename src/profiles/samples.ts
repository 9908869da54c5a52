/** Recorded answers of all built-in profiles. Apart from them, so that only tests and twins load them. */
import type { ProfileSamples } from '../config/profile.ts'
import { airtableSamples } from './vendors/airtable/samples.ts'
import { anthropicSamples } from './vendors/anthropic/samples.ts'
import { genericEnvelopeSamples } from './vendors/generic-envelope/samples.ts'
import { githubSamples } from './vendors/github/samples.ts'
import { hubspotSamples } from './vendors/hubspot/samples.ts'
import { intercomSamples } from './vendors/intercom/samples.ts'
import { notionSamples } from './vendors/notion/samples.ts'
import { openaiSamples } from './vendors/openai/samples.ts'
import { segmentSamples } from './vendors/segment/samples.ts'
import { sendgridSamples } from './vendors/sendgrid/samples.ts'
import { slackSamples } from './vendors/slack/samples.ts'
import { stripeSamples } from './vendors/stripe/samples.ts'
import { twilioSamples } from './vendors/twilio/samples.ts'

/** By name of the profile. */
export const BUILT_IN_SAMPLES: Readonly<Record<string, ProfileSamples>> = {
  airtable: airtableSamples,
  anthropic: anthropicSamples,
  'generic-envelope': genericEnvelopeSamples,
  github: githubSamples,
  hubspot: hubspotSamples,
  intercom: intercomSamples,
  notion: notionSamples,
  openai: openaiSamples,
  segment: segmentSamples,
  sendgrid: sendgridSamples,
  slack: slackSamples,
  stripe: stripeSamples,
  twilio: twilioSamples,
}
