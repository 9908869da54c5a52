/** `holdfast/profiles`: what is known about vendors, as data. Their sample answers are in `samples.ts`. */
import type { Profile } from '../config/profile.ts'
import * as vendors from './vendors/index.ts'

export type { Profile, ProfileEndpoint, ProfileSamples } from '../config/profile.ts'
export type { FactSource, ProfileRule, RuleSample } from '../config/profile-rule.ts'
export * from './vendors/index.ts'

/** What `profile: NAME` may name without more. */
export const BUILT_IN_PROFILES: readonly Profile[] = Object.values(vendors)
