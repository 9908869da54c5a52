/** The profiles and integrations that a command can name. */
import type { LoadedConfig } from '../../config/loaded.ts'
import { didYouMean } from '../../config/nearest.ts'
import type { Profile } from '../../config/profile.ts'
import type { IntegrationSettings } from '../../config/settings.ts'
import { HoldfastError, isHoldfastError } from '../../core/errors.ts'
import { BUILT_IN_PROFILES } from '../../profiles/index.ts'
import { settingsOfProfile } from '../../profiles/judge.ts'
import type { CliContext } from '../context.ts'

export type Known = Pick<LoadedConfig, 'profiles' | 'integrations'>

/** Built-in profiles need no configuration. */
export async function knownProfiles(context: CliContext): Promise<Known> {
  try {
    return await context.config('look')
  } catch (error) {
    const isMissing = isHoldfastError(error) && error.code === 'config_not_found'
    if (!isMissing || context.options.config !== undefined) throw error
    return { profiles: BUILT_IN_PROFILES, integrations: [] }
  }
}

export interface Subject {
  readonly title: string
  readonly profile: Profile | undefined
  /** Rules in their order, an integration's own first. */
  readonly settings: IntegrationSettings
}

/**
 * An integration of the configuration, with its own rules, else a profile.
 * @throws HoldfastError `profile_not_found` with the nearest right name.
 */
export function subjectNamed(name: string, { profiles, integrations }: Known): Subject {
  const settings = integrations.find((candidate) => candidate.name === name)
  if (settings) {
    const profile = profiles.find((candidate) => candidate.name === settings.profile)
    const title = profile ? `Integration ${name}, with the profile of ${profile.title}` : `Integration ${name}`
    return { title, profile, settings }
  }
  const profile = profiles.find((candidate) => candidate.name === name)
  if (profile) return { title: profile.title, profile, settings: settingsOfProfile(profile) }
  const names = [...integrations, ...profiles].map((candidate) => candidate.name)
  throw new HoldfastError({
    code: 'profile_not_found',
    class: 'not_found',
    message: `There is no profile or integration "${name}"${didYouMean(name, names)}`,
    hint: '`holdfast profiles list` shows the profiles, `holdfast integrations` the integrations.',
  })
}
