/** Tokens: made of 256 random bits, stored as hashes, told once. */
import { hash, timingSafeEqual } from 'node:crypto'
import type { Scope, TokenSettings } from '../config/gateway-settings.ts'
import type { Random } from '../core/random.ts'

const PREFIX = 'hft_'
const TOKEN_BYTES = 32

export interface NewToken {
  /** Told once; nobody can find it out from the hash. */
  readonly token: string
  readonly settings: TokenSettings
}

/** @param random of the operating system: whoever guesses it has the token. */
export function createToken(name: string, scopes: readonly Scope[], random: Random): NewToken {
  const token = PREFIX + Buffer.from(random.bytes(TOKEN_BYTES)).toString('base64url')
  return { token, settings: { name, scopes, hash: hashOf(token) } }
}

/** With so many random bits a plain hash is as good as a slow one, and costs a caller nothing. */
export function hashOf(token: string): string {
  return `sha256:${hash('sha256', token)}`
}

/** Compares with every known token, in the same time whichever it is, or none. */
export function findToken(known: readonly TokenSettings[], presented: string): TokenSettings | undefined {
  const digest = Buffer.from(hashOf(presented))
  let found: TokenSettings | undefined
  for (const token of known) {
    const other = Buffer.from(token.hash)
    if (other.length === digest.length && timingSafeEqual(other, digest)) found = token
  }
  return found
}

export function allows(scopes: readonly Scope[], needed: Scope): boolean {
  if (scopes.includes('admin') || scopes.includes(needed)) return true
  return needed === 'read' && scopes.includes('operate')
}
