/** What option texts mean. A wrong one is wrong usage, told by commander with the name of the option. */
import { InvalidArgumentError } from 'commander'
import { SCOPES, type Scope } from '../config/gateway-settings.ts'
import { type Duration, durationMs } from '../core/duration.ts'
import { messageOf } from '../core/errors.ts'
import { ITEM_STATES, type ItemState } from '../core/item-state.ts'

export function positiveInteger(text: string): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new InvalidArgumentError('Expected a whole number above zero.')
}

/** A duration as in the configuration: `90m`, `24h`, `7d`. */
export function durationOption(text: string): number {
  try {
    return durationMs(text as Duration)
  } catch (error) {
    throw new InvalidArgumentError(`Expected a duration such as 90m, 24h or 7d: ${messageOf(error)}.`)
  }
}

/** Collects `--label campaign=spring --label region=eu`. */
export function label(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const at = text.indexOf('=')
  if (at > 0) return { ...before, [text.slice(0, at)]: text.slice(at + 1) }
  throw new InvalidArgumentError('Expected NAME=VALUE.')
}

/** Collects `--state parked,retrying --state queued`. */
export function itemStates(text: string, before: readonly ItemState[] = []): ItemState[] {
  const states = text.split(',').map((part) => part.trim())
  for (const state of states) {
    if (!(ITEM_STATES as readonly string[]).includes(state)) {
      throw new InvalidArgumentError(`"${state}" is not a state. States: ${ITEM_STATES.join(', ')}.`)
    }
  }
  return [...before, ...(states as ItemState[])]
}

/** A TCP port; 0: any that is free. */
export function portNumber(text: string): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value <= 65_535) return value
  throw new InvalidArgumentError('Expected a port: 0 to 65535.')
}

/** Collects `--scopes submit,read`. */
export function scopeList(text: string, before: readonly Scope[] = []): Scope[] {
  const scopes = text.split(',').map((part) => part.trim())
  for (const scope of scopes) {
    if ((SCOPES as readonly string[]).includes(scope)) continue
    throw new InvalidArgumentError(`"${scope}" is not a scope. Scopes: ${SCOPES.join(', ')}.`)
  }
  return [...new Set([...before, ...(scopes as Scope[])])]
}
