/**
 * Who may do what. Without tokens only this machine is served, and only its own programs: a page in a browser here can reach
 * loopback too, so a foreign `Host` (DNS rebinding) or origin (CSRF) is refused. There are no cookies; a token proves itself.
 */
import type { GatewaySettings, Scope } from '../config/gateway-settings.ts'
import { configurationError, type HoldfastError } from '../core/errors.ts'
import type { RequestHead } from './head.ts'
import { refusal } from './problems.ts'
import { allows, findToken } from './tokens.ts'

export interface Principal {
  /** For the trail of actions: `token:ci`, `gateway:local`. */
  readonly by: string
  /** Network address; `local` where it has none. */
  readonly from: string
}

export interface Access {
  /** @throws HoldfastError `token_missing`, `token_invalid`, `scope_missing`, `host_refused`, `origin_refused` */
  authorize(head: RequestHead, scope: Scope): Principal
}

const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '[::1]']

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)
}

/** @throws HoldfastError `gateway_needs_token` */
export function assertSafe({ host, tokens }: Pick<GatewaySettings, 'host' | 'tokens'>): void {
  if (tokens.length > 0 || isLoopback(host)) return
  throw configurationError(
    'gateway_needs_token',
    `Listening on ${host} would let everybody on the network in: no token is configured`,
    'Run `holdfast token create NAME --scopes submit,read` and put what it prints under `gateway.tokens`, or listen on 127.0.0.1.',
    { host },
  )
}

export function createAccess({ tokens, host, hosts }: Pick<GatewaySettings, 'tokens' | 'host' | 'hosts'>): Access {
  const names = new Set([...LOOPBACK_NAMES, host, ...hosts].map((name) => name.toLowerCase()))
  return {
    authorize(head, scope) {
      if (tokens.length > 0) return byToken(head, scope)
      checkHost(head, names)
      if (scope !== 'read') checkOrigin(head)
      return { by: 'gateway:local', from: head.from }
    },
  }

  function byToken({ header, from }: RequestHead, scope: Scope): Principal {
    const authorization = header('authorization')
    if (authorization === undefined) {
      throw refusal('token_missing', 'This needs a token', 'Send `Authorization: Bearer TOKEN`.')
    }
    const presented = /^Bearer ([\x21-\x7e]{1,512})$/i.exec(authorization)?.[1]
    const token = presented === undefined ? undefined : findToken(tokens, presented)
    if (!token) throw refusal('token_invalid', 'The token is not known', 'Ask for a new one: `holdfast token create`.')
    if (!allows(token.scopes, scope)) throw scopeMissing(token.name, scope)
    return { by: `token:${token.name}`, from }
  }
}

/** A name that resolves to this machine only for the attacked browser is not one of ours. */
function checkHost({ header }: RequestHead, names: ReadonlySet<string>): void {
  const host = header('host') ?? ''
  const name = host.replace(/:\d+$/, '').toLowerCase()
  if (names.has(name)) return
  throw refusal(
    'host_refused',
    `This gateway is not known as "${name.slice(0, 100)}"`,
    'Without tokens it answers to localhost, 127.0.0.1 and [::1]; add names to `gateway.hosts`, or configure a token.',
  )
}

/** Browsers send both headers by themselves, and pages cannot change them. */
function checkOrigin({ header }: RequestHead): void {
  const site = header('sec-fetch-site')
  const origin = header('origin')
  const isForeignSite = site !== undefined && site !== 'same-origin' && site !== 'none'
  if (!isForeignSite && (origin === undefined || URL.parse(origin)?.host === header('host'))) return
  throw refusal(
    'origin_refused',
    'A page of another site may not do this',
    'Without a token only pages of this gateway, and programs on this machine, may change anything.',
  )
}

function scopeMissing(name: string, scope: Scope): HoldfastError {
  return refusal(
    'scope_missing',
    `Token "${name}" does not have the scope "${scope}"`,
    `Use a token with "${scope}", or add it under \`gateway.tokens\`.`,
    { scope },
  )
}
