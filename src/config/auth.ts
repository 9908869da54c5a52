/** From written credentials to settings, and what stored ones are encrypted with. */
import { isAbsolute, resolve as resolvePath } from 'node:path'
import { durationMs } from '../core/duration.ts'
import type { AuthSettings, OAuthSettings, StoredAuthSettings } from './auth-settings.ts'
import type { Environment } from './plain.ts'
import type { Path, Problem } from './problems.ts'
import type { WrittenAuth } from './schema-auth.ts'

/** Where keys are looked for when the configuration names none. */
export const KEY_VARIABLE = 'HOLDFAST_KEY'

/** Says of a working token that it is not allowed here: another one would not be either (facts.md, Salesforce). */
const NEVER_THE_TOKENS_FAULT = ['Connected app is not attached to Agent', 'not valid for use with the REST API']

/** What contradicts itself goes into `problems`. */
export function authSettings(written: WrittenAuth | undefined, path: Path, problems: Problem[]): AuthSettings {
  if (written === undefined) return { type: 'none' }
  if (written.type === 'stored') return storedSettings(written, path, problems)
  return written.type === 'oauth2' ? oauthSettings(written, path, problems) : written
}

function storedSettings(
  { sendAs = 'bearer', name = '' }: Extract<WrittenAuth, { type: 'stored' }>,
  path: Path,
  problems: Problem[],
): StoredAuthSettings {
  const needsName = sendAs === 'header' || sendAs === 'query'
  if (needsName && name === '') problems.push({ path, message: `a secret that is sent as ${sendAs} needs a name` })
  return { type: 'stored', sendAs, name }
}

function oauthSettings(
  written: Extract<WrittenAuth, { type: 'oauth2' }>,
  path: Path,
  problems: Problem[],
): OAuthSettings {
  const { grant, clientSecret, refreshToken, refreshAhead, lifetime } = written
  if (grant === 'client_credentials' && clientSecret === undefined) {
    problems.push({ path, message: 'the grant client_credentials needs a clientSecret' })
  }
  if (grant === 'client_credentials' && refreshToken !== undefined) {
    problems.push({ path, message: 'the grant client_credentials has no refreshToken' })
  }
  return {
    type: 'oauth2',
    grant,
    tokenUrl: written.tokenUrl,
    clientId: written.clientId,
    clientSecret,
    clientAuth: written.clientAuth ?? 'basic',
    refreshToken,
    scopes: written.scopes ?? [],
    parameters: written.parameters ?? {},
    refreshAheadMs: refreshAhead === undefined ? undefined : durationMs(refreshAhead),
    lifetimeMs: lifetime === undefined ? undefined : durationMs(lifetime),
    minIntervalMs: durationMs(written.minInterval ?? '0ms'),
    neverRefreshOn: [...NEVER_THE_TOKENS_FAULT, ...(written.neverRefreshOn ?? [])],
  }
}

/** Secrets or tokens of it are kept in the store. */
export function isKept(auth: AuthSettings): auth is StoredAuthSettings | OAuthSettings {
  return auth.type === 'stored' || auth.type === 'oauth2'
}

/** The present key first. Several in one text are separated by commas or blanks; files are named from the configuration's folder. */
export function keyTexts(
  written: string | readonly string[] | undefined,
  environment: Environment,
  baseDirectory: string,
): string[] {
  const texts = written === undefined ? [environment[KEY_VARIABLE] ?? ''] : [written].flat()
  // A reference that is not set, where that is allowed, is no key.
  const set = texts.filter((text) => !text.includes('${'))
  return set.flatMap((text) => (text.startsWith('file:') ? [absolute(text, baseDirectory)] : split(text)))
}

function split(text: string): string[] {
  return text.split(/[\s,]+/).filter((part) => part !== '')
}

function absolute(text: string, baseDirectory: string): string {
  const path = text.slice('file:'.length)
  return `file:${isAbsolute(path) ? path : resolvePath(baseDirectory, path)}`
}
