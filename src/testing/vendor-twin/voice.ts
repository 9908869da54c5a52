/** A vendor's own words: which of its recorded answers says what has to be said, to this request. */
import type { Profile, ProfileSamples } from '../../config/profile.ts'
import type { ProfileRule, RuleSample } from '../../config/profile-rule.ts'
import type { IntegrationSettings } from '../../config/settings.ts'
import { isJsonObject, type Json } from '../../core/json.ts'
import { judgeSample, settingsOfProfile } from '../../profiles/judge.ts'
import { writeAt } from './write-at.ts'

/** What twins have to say by themselves. */
export type VendorProblem =
  | 'unauthenticated'
  | 'rate_limited'
  | 'quota_spent'
  | 'already_exists'
  | 'key_in_use'
  | 'key_reused'
  | 'not_found'
  | 'invalid'

export interface Spoken {
  readonly rule: ProfileRule
  readonly sample: RuleSample
}

export interface Call {
  readonly method: string
  /** Template or path. */
  readonly path: string
}

export interface Voice {
  /** Every recorded answer of a rule. Empty for a rule that is not there. */
  samplesOf(id: string): readonly Spoken[]
  /** The best recorded answer that the vendor's rules would understand as this, on this call, with these headers. */
  say(problem: VendorProblem, call: Call, headers?: Readonly<Record<string, string>>): Spoken | undefined
  /** In the vendor's shape, where nothing was recorded. */
  plain(message: string, code: string): Json
  /** Does this rule decide when this sample answers such a call? */
  fits(spoken: Spoken, call: Call): boolean
}

/** Samples are judged as if they had just arrived. */
const JUDGED_AT_MS = Date.UTC(2026, 0, 1)

export function createVoice(profile: Profile, samples: ProfileSamples): Voice {
  const settings = settingsOfProfile(profile)
  const all = profile.rules.flatMap((rule) => (samples[rule.id] ?? []).map((sample): Spoken => ({ rule, sample })))
  const chosen = new Map<string, Spoken | undefined>()

  function fits({ rule, sample }: Spoken, call: Call, headers: Readonly<Record<string, string>> = {}): boolean {
    const asked = { ...sample, ...call, headers: { ...sample.headers, ...headers } }
    return judgeSample(settings, asked, JUDGED_AT_MS).rule?.id === rule.id
  }

  function choose(problem: VendorProblem, call: Call, headers: Readonly<Record<string, string>>): Spoken | undefined {
    const means = MEANINGS[problem]
    const fitting = all.filter((spoken) => means(spoken) > 0 && fits(spoken, call, headers))
    // The first of the best: stable.
    return fitting.sort((one, other) => means(other) - means(one) || samePath(other, call) - samePath(one, call))[0]
  }

  return {
    samplesOf: (id) => all.filter(({ rule }) => rule.id === id),
    say(problem, call, headers = {}) {
      const spent = Object.entries(headers).flatMap(([name, value]) => (value === '0' ? [name] : []))
      const name = `${problem} ${call.method} ${call.path} ${spent}`
      if (!chosen.has(name)) chosen.set(name, choose(problem, call, headers))
      return chosen.get(name)
    },
    plain: (message, code) => plainBody(settings, message, code),
    fits,
  }
}

function samePath({ sample }: Spoken, { path }: Call): number {
  return Number(sample.path === path)
}

/** How well a recorded answer says it; 0: not at all. */
const MEANINGS: { readonly [Problem in VendorProblem]: (spoken: Spoken) => number } = {
  unauthenticated: ({ rule, sample }) =>
    rule.class === 'authentication' ? 1 + Number(sample.status === 401) + Number(hasBody(sample)) : 0,
  rate_limited: (spoken) => (spoken.rule.class === 'rate_limited' ? limitScore(spoken) : 0),
  quota_spent: (spoken) =>
    spoken.rule.class === 'wait_long' && /dai?l|day|quota/.test(spoken.rule.id) && isLimitStatus(spoken)
      ? limitScore(spoken)
      : 0,
  already_exists: ({ rule, sample }) => {
    if (rule.class !== 'conflict') return 0
    return (
      1 +
      4 * Number(rule.reportAs === 'already_exists') +
      2 * Number(mentions(rule.id, /exist|taken|there/)) +
      Number(hasBody(sample))
    )
  },
  key_in_use: (spoken) => (aboutKeys(spoken) && spoken.rule.class === 'transient' ? 1 : 0),
  key_reused: (spoken) => (aboutKeys(spoken) && spoken.rule.class !== 'transient' ? 1 : 0),
  not_found: ({ rule, sample }) =>
    rule.class === 'not_found' ? 1 + 2 * Number(sample.status === 404) + Number(hasBody(sample)) : 0,
  invalid: ({ rule, sample }) => {
    if (rule.class !== 'validation' || sample.status < 200 || sample.status === 410) return 0
    return (
      1 +
      4 * Number(mentions(rule.id, /invalid-data|refused|invalid|other-error/)) +
      2 * Number(isGeneral(rule)) +
      Number(hasBody(sample))
    )
  },
}

/** A rule that looks at the headers of limits, and is met, knows best; else the plainest 429. */
function limitScore({ rule, sample }: Spoken): number {
  const knows = rule.header !== undefined
  return (
    1 +
    16 * Number(knows) +
    8 * Number(sample.status === 429) +
    4 * Number(isGeneral(rule)) +
    2 * Number(hasBody(sample))
  )
}

function isLimitStatus({ sample }: Spoken): boolean {
  return sample.status === 429 || sample.status === 403
}

function isGeneral({ code, message, body, header, endpoint }: ProfileRule): boolean {
  return [code, message, body, header, endpoint].every((condition) => condition === undefined)
}

function hasBody({ body }: RuleSample): boolean {
  return typeof body === 'object' && body !== null
}

function aboutKeys({ rule, sample }: Spoken): boolean {
  return mentions(JSON.stringify(sample.body ?? ''), /idempoten/i) && /key|idempotency/.test(rule.id)
}

function mentions(text: string, pattern: RegExp): boolean {
  return pattern.test(text)
}

/** Code and message at the first places where the profile looks for them. */
function plainBody({ errorPaths }: IntegrationSettings, message: string, code: string): Json {
  const places = [errorPaths.code[0] ?? 'error.code', errorPaths.message[0] ?? 'error.message'] as const
  return writeAt(writeAt(undefined, places[0], code), places[1], message)
}

const EXISTING_ID = /\b((?:existing )?id\b ?[:=]? ?)([\w-]{2,})/i

/** The id of the record that is in the way, where the recorded message names one. */
export function withExistingId(body: Json | undefined, id: string | undefined): Json | undefined {
  if (id === undefined) return body
  if (typeof body === 'string') return body.replace(EXISTING_ID, (_, words: string) => `${words}${id}`)
  if (Array.isArray(body)) return (body as readonly Json[]).map((element) => withExistingId(element, id) ?? null)
  if (!isJsonObject(body)) return body
  const entries = Object.entries(body).map(([name, value]) => {
    const renamed = /^existing_?id$/i.test(name)
      ? id
      : /message|description|detail/i.test(name)
        ? withExistingId(value, id)
        : value
    return [name, typeof value === 'object' ? withExistingId(value, id) : renamed]
  })
  return Object.fromEntries(entries) as Json
}
