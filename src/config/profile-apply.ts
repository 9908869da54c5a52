/** How a profile becomes part of an integration: its rules below the integration's own, its settings as defaults. */
import { byExactness, endpointTemplate } from './endpoint-template.ts'
import { didYouMean } from './nearest.ts'
import type { Path, Problem } from './problems.ts'
import type { Profile, ProfileEndpoint } from './profile.ts'
import type { ErrorRule, FactSource, ProfileRule, WrittenErrorRule } from './profile-rule.ts'
import type { WrittenIntegration } from './schema.ts'

/** The profile that an integration names or brings. One that nobody knows goes into `problems`. */
export function profileOf(
  written: WrittenIntegration,
  known: readonly Profile[],
  path: Path,
  problems: Problem[],
): Profile | undefined {
  const { profile } = written
  if (typeof profile !== 'string') return profile
  const found = known.find(({ name }) => name === profile)
  if (found) return found
  const names = known.map(({ name }) => name)
  const others = names.length > 0 ? `; known: ${names.join(', ')}` : ''
  const message = `there is no profile "${profile}"${didYouMean(profile, names) || others}`
  problems.push({ path: [...path, 'profile'], message })
  return undefined
}

/**
 * The rules of an integration in their order: its own, then those of its profile. A rule of its own with the id of one of the
 * profile's changes that rule in its place, so that finer rules stay before coarser ones.
 */
export function errorRules(
  name: string,
  written: readonly WrittenErrorRule[],
  profile: Profile | undefined,
  path: Path,
  problems: Problem[],
): readonly ErrorRule[] {
  const profileRules = new Map((profile?.rules ?? []).map((rule) => [rule.id, rule]))
  const own: ErrorRule[] = []
  const changes = new Map<string, WrittenErrorRule>()
  for (const [index, rule] of written.entries()) {
    if (rule.id !== undefined && profileRules.has(rule.id)) changes.set(rule.id, rule)
    else if (rule.class !== undefined) own.push({ ...rule, class: rule.class, label: ownLabel(name, rule, index) })
    else problems.push({ path: [...path, 'errors', index], message: withoutClass(rule, [...profileRules.keys()]) })
  }
  if (!profile) return own
  return [...own, ...profile.rules.map((rule) => inheritedRule(name, rule, changes.get(rule.id), profile))]
}

function withoutClass({ id }: WrittenErrorRule, known: readonly string[]): string {
  if (id === undefined || known.length === 0) return 'expected a class: what such an answer means'
  return `expected a class: the profile has no rule "${id}" to change${didYouMean(id, known)}`
}

function ownLabel(name: string, { id, source }: WrittenErrorRule, index: number): string {
  const told = typeof source === 'string' ? source : source && sourceWords(source)
  return `${name}:errors${id === undefined ? `[${index}]` : `.${id}`}${told === undefined ? '' : ` (${told})`}`
}

function inheritedRule(
  name: string,
  rule: ProfileRule,
  change: WrittenErrorRule | undefined,
  profile: Profile,
): ErrorRule {
  const label = ruleLabel(profile, rule)
  if (change === undefined) return { ...rule, label }
  const given = Object.entries(change).filter(([, value]) => value !== undefined)
  return { ...rule, ...Object.fromEntries(given), label: `${name}:errors.${rule.id}, over ${label}` }
}

function sourceWords({ url, read, certainty }: FactSource): string {
  const sure = { vendor: '', second_hand: ', second-hand', unverified: ', unverified' }[certainty]
  return `${url}, read ${read}${sure}`
}

/** The label of a rule of a profile, as `explain` tells it. */
function ruleLabel(profile: Profile, rule: ProfileRule): string {
  return `profile ${profile.name}: ${rule.id} (${sourceWords(rule.source)})`
}

/** Endpoints of the profile and of the integration. Templates that differ only in the names of their parts are the same one. */
export function endpointNames(written: WrittenIntegration, profile: Profile | undefined): string[] {
  const own = Object.keys(written.endpoints ?? {})
  const shapes = new Set(own.map(shapeOf))
  return [...own, ...Object.keys(profile?.endpoints ?? {}).filter((name) => !shapes.has(shapeOf(name)))]
}

/** What the profile knows of an endpoint: under its own template, else under the most exact one that stands for it too. */
export function profileEndpoint(profile: Profile | undefined, endpoint: string): ProfileEndpoint | undefined {
  const [shape, space] = [shapeOf(endpoint), endpoint.indexOf(' ')]
  const known = Object.entries(profile?.endpoints ?? {})
  const same = known.find(([name]) => shapeOf(name) === shape)
  if (same) return same[1]
  const covering = known
    .map(([name, settings]) => ({ ...endpointTemplate(name), settings }))
    .filter(({ method, pattern }) => method === endpoint.slice(0, space) && pattern.test(endpoint.slice(space + 1)))
  return covering.sort(byExactness)[0]?.settings
}

function shapeOf(endpoint: string): string {
  return endpoint.replace(/\{[^{}]*\}/g, '{}')
}

/** Names of headers are the same in any case. */
export function mergedHeaders(
  profile: Readonly<Record<string, string>> = {},
  own: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const given = new Set(Object.keys(own).map((header) => header.toLowerCase()))
  const inherited = Object.entries(profile).filter(([header]) => !given.has(header.toLowerCase()))
  return { ...Object.fromEntries(inherited), ...own }
}
