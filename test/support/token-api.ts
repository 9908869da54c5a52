/** An API that wants tokens and the endpoint that gives them, as routes of a twin: on a simulated network or on real sockets. */
import { route, type TwinRoute } from '../../src/testing/twin/route.ts'

export interface TokenApi {
  readonly routes: readonly TwinRoute[]
  /** What the endpoint was asked with, in order. */
  readonly grants: Readonly<Record<string, string>>[]
  /** `authorization` of those requests. */
  readonly clients: (string | undefined)[]
  /** Every token that was ever given out. */
  readonly given: string[]
  readonly calls: { accepted: number; refused: number }
  /** Queries that calls came with. */
  readonly queries: Readonly<Record<string, string>>[]
  /** No access token that was given out is good any more. */
  revokeAccess(): void
  /** No refresh token either. */
  revokeAll(): void
  /** The tokens that the API takes no notice of: all are refused. */
  refuseEverything: boolean
  expiresInSeconds: number | undefined
  onGrant: () => void
}

/** Rotating refresh tokens: each is good once, and a new one revokes all before it (facts.md, Salesloft). */
export function tokenApi(firstRefreshToken = 'first-refresh-token-0001'): TokenApi {
  const good = new Set<string>()
  let refreshToken: string | undefined = firstRefreshToken
  let serial = 0

  const api = {
    grants: [] as Readonly<Record<string, string>>[],
    clients: [] as (string | undefined)[],
    given: [] as string[],
    calls: { accepted: 0, refused: 0 },
    queries: [] as Readonly<Record<string, string>>[],
    refuseEverything: false,
    expiresInSeconds: 3600 as number | undefined,
    onGrant: () => {},
    revokeAccess: () => good.clear(),
    revokeAll() {
      good.clear()
      refreshToken = undefined
    },
  }

  const token = route('POST', '/token', {
    effectKey: () => undefined,
    work: '40ms',
    apply({ body, headers }) {
      const grant = body as Record<string, string>
      api.grants.push(grant)
      api.clients.push(headers['authorization'])
      api.onGrant()
      const rotates = grant['grant_type'] === 'refresh_token'
      if (rotates && grant['refresh_token'] !== refreshToken) {
        const error_description = `unknown refresh token ${grant['refresh_token']}`
        return { status: 400, body: { error: 'invalid_grant', error_description } }
      }
      serial += 1
      good.clear()
      const accessToken = `access-token-${serial}-of-the-crm`
      good.add(accessToken)
      api.given.push(accessToken)
      const answer: Record<string, unknown> = { access_token: accessToken, token_type: 'bearer' }
      if (api.expiresInSeconds !== undefined) answer['expires_in'] = api.expiresInSeconds
      if (rotates) {
        refreshToken = `rotated-refresh-token-${serial}`
        api.given.push(refreshToken)
        answer['refresh_token'] = refreshToken
      }
      return { status: 200, body: answer }
    },
  })
  const things = route('POST', '/things', {
    effectKey: 'n',
    work: '20ms',
    apply({ headers, query }) {
      api.queries.push(query)
      const sent = headers['authorization'] ?? ''
      if (!api.refuseEverything && good.has(sent.slice('Bearer '.length))) {
        api.calls.accepted += 1
        return { status: 200, body: { ok: true } }
      }
      api.calls.refused += 1
      // Hostile: it repeats what it was sent, wherever it can.
      return {
        status: 401,
        headers: { 'www-authenticate': `Bearer realm="${sent}"`, 'x-request-id': sent, location: `/login?t=${sent}` },
        body: { code: 'unauthenticated', message: `The credential "${sent}" is not valid`, you_sent: [sent, query] },
      }
    },
  })
  return Object.assign(api, { routes: [token, things] })
}
