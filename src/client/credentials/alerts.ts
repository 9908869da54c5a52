/** The words for a credential that needs a person (R146). */
import type { IntegrationSettings } from '../../config/settings.ts'
import type { EventCatalogue } from '../../core/events.ts'
import type { CredentialState } from '../../policy/credentials.ts'

/** What is told, once. */
export function alertOf(
  integration: IntegrationSettings,
  state: CredentialState,
  { code, reason }: { readonly code: string; readonly reason: string },
  nowMs: number,
): EventCatalogue['credential.failed'] {
  const stillGood = state.usable && state.version > state.rejectedVersion && state.expiresAtMs > nowMs
  return {
    credential: `${integration.name}/${integration.credential}`,
    severity: 'critical',
    code,
    reason,
    hint: state.refused ? whatToDo(integration) : 'It is tried again by itself. Look at the state of the vendor.',
    parked: state.refused !== null && !stillGood,
    ...(state.refused === null && { retryAtMs: state.retryAtMs }),
  }
}

/** How to put it right, and then how to go on. */
export function whatToDo({ name, credential, auth }: IntegrationSettings): string {
  const goOn = `then \`holdfast integrations resume ${name}\``
  const set = `\`holdfast credentials set ${name}/${credential}\`, which also resumes its work`
  switch (auth.type) {
    case 'stored':
      return `Get a new secret at the vendor, then ${set}.`
    case 'oauth2':
      return auth.grant === 'refresh_token'
        ? `Authorise Holdfast at the vendor again, then store the new refresh token: ${set}.`
        : `Check client id, client secret and scopes in the configuration and at the vendor, ${goOn}.`
    case 'signed':
      return `Check the signing key and the clock, ${goOn}.`
    default:
      return `Put a valid secret where the configuration takes it from, restart, ${goOn}.`
  }
}
