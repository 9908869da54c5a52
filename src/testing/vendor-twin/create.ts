/** A vendor as a twin: made from its profile and its recorded answers. */
import { didYouMean } from '../../config/nearest.ts'
import type { Profile, ProfileSamples } from '../../config/profile.ts'
import type { RateLimitReading } from '../../config/rate-limits.ts'
import { configurationError } from '../../core/errors.ts'
import { BUILT_IN_PROFILES } from '../../profiles/index.ts'
import { settingsOfProfile } from '../../profiles/judge.ts'
import { BUILT_IN_SAMPLES } from '../../profiles/samples.ts'
import type { SimulatedTwinOptions } from '../network/network.ts'
import { route, type TwinRoute } from '../twin/route.ts'
import { splitFailures, unknownFailure } from './fail.ts'
import { createGuard, problemAnswer } from './guard.ts'
import type { VendorLimit } from './limits.ts'
import { LOOKS } from './looks.ts'
import { createOperations } from './operations.ts'
import type { VendorProfile, VendorTwinOptions } from './options.ts'
import { createVoice } from './voice.ts'

/**
 * The definition of a twin that answers as a vendor does: in a testbed (`apis: { crm: createVendorTwin('hubspot') }`), on a simulated
 * network, or behind a socket (`startTwin({ ...createVendorTwin('hubspot'), clock, random })`). Nothing is shared between two
 * twins made from it.
 * @throws HoldfastError `profile_not_found`, `unknown_failure`, `invalid_share`, `invalid_rate`
 */
export function createVendorTwin(vendor: VendorProfile, options: VendorTwinOptions = {}): SimulatedTwinOptions {
  const profile = typeof vendor === 'string' ? profileNamed(vendor) : vendor
  const samples = options.samples ?? profile.samples ?? builtInSamples(profile)
  const look = LOOKS[profile.name] ?? {}
  const voice = createVoice(profile, samples)
  const settings = settingsOfProfile(profile)
  const ruleIds = profile.rules.map(({ id }) => id).filter((id) => voice.samplesOf(id).length > 0)
  const { rules, faults } = splitFailures(options.fail ?? {}, ruleIds, profile.title)
  const recordFailures = Object.entries(options.failRecords ?? {}).map(([id, share]) => {
    if (!ruleIds.includes(id)) throw unknownFailure(id, ruleIds, profile.title)
    return { id, share }
  })
  const limits = limitsOf(profile, look.limits ?? profileLimits(profile), options.limits)
  const { routes = [], latency, onEffect, onRequest } = options
  return {
    name: profile.name,
    tells: true,
    routes: [...routes, ...tokenRoutes(profile)],
    otherwise: createOperations({
      settings,
      look,
      voice,
      unique: { ...look.unique, ...options.unique },
      recordFailures,
      effectKey: options.effectKey,
      work: options.work,
    }),
    guard: (around) => createGuard({ profile, voice, limits, rules, options, ...around }),
    answerProblem: problemAnswer(voice),
    faults: [...(options.faults ?? []), ...faults],
    ...(latency !== undefined && { latency }),
    ...(onEffect && { onEffect }),
    ...(onRequest && { onRequest }),
  }
}

function profileNamed(name: string): Profile {
  const found = BUILT_IN_PROFILES.find((profile) => profile.name === name)
  if (found) return found
  const names = BUILT_IN_PROFILES.map((profile) => profile.name)
  throw configurationError(
    'profile_not_found',
    `There is no built-in profile "${name}"${didYouMean(name, names)}`,
    `Built in are: ${names.join(', ')}. One of your own is given as a value.`,
    { name },
  )
}

function builtInSamples(profile: Profile): ProfileSamples {
  return BUILT_IN_PROFILES.includes(profile) ? (BUILT_IN_SAMPLES[profile.name] ?? {}) : {}
}

/** What a profile of a user's own says of its limits. */
function profileLimits({ limits, rateLimits = [] }: Profile): NonNullable<(typeof LOOKS)[string]['limits']> {
  const rate = limits?.values.rate
  return rate === undefined ? {} : { [rateLimits[0]?.name ?? 'rate']: rate }
}

function limitsOf(
  { rateLimits = [] }: Profile,
  published: NonNullable<(typeof LOOKS)[string]['limits']>,
  own: VendorTwinOptions['limits'] = {},
): VendorLimit[] {
  if (own === false) return []
  return Object.entries({ ...published, ...own }).flatMap(([name, rate]) => {
    if (rate === false) return []
    return [{ name, rate, readings: rateLimits.filter((reading) => reading.name === name).filter(tells) }]
  })
}

function tells(reading: RateLimitReading): reading is Exclude<RateLimitReading, { kind: 'policy' }> {
  return reading.kind !== 'policy'
}

/** Gives tokens to whoever asks. */
function tokenRoutes({ auth }: Profile): TwinRoute[] {
  if (auth?.tokenUrl === undefined) return []
  let given = 0
  const body = () => ({
    access_token: `twin-access-${++given}`,
    refresh_token: `twin-refresh-${given}`,
    token_type: 'bearer',
    expires_in: 3600,
  })
  const path = new URL(auth.tokenUrl).pathname
  return [route('POST', path, { apply: () => ({ status: 200, body: { ...body() } }), effectKey: () => undefined })]
}
