/** What a vendor twin is asked to fail with, by rule of its profile or by kind of fault, and how often. */
import { didYouMean } from '../../config/nearest.ts'
import { configurationError } from '../../core/errors.ts'
import type { FaultKind, FaultRule } from '../faults/fault.ts'
import { FAULT_KINDS } from '../faults/perform.ts'

/**
 * A share of the requests (0.05), or more exactly. By the id of a rule (`locked`) one of its recorded answers is sent; by the kind of a
 * fault (`executed_then_reset`, `hang`, `html_ok`) that happens.
 */
export type FailOptions = Readonly<Record<string, number | RuleFailure>>

export interface RuleFailure {
  /** From 0 to 1. */
  readonly share: number
  /** The request is done, although the answer says that it failed. Default false. */
  readonly executed?: boolean
}

export interface RuleShare extends RuleFailure {
  readonly id: string
}

/** @throws HoldfastError `unknown_failure` for what is neither, `invalid_share` */
export function splitFailures(
  fail: FailOptions,
  ruleIds: readonly string[],
  vendor: string,
): { readonly rules: readonly RuleShare[]; readonly faults: readonly FaultRule[] } {
  const rules: RuleShare[] = []
  const faults: FaultRule[] = []
  for (const [name, given] of Object.entries(fail)) {
    const failure = typeof given === 'number' ? { share: given } : given
    if (!(failure.share >= 0 && failure.share <= 1)) throw invalidShare(name, failure.share)
    if (ruleIds.includes(name)) rules.push({ id: name, ...failure })
    else if (isFault(name)) faults.push({ fault: name, probability: failure.share })
    else throw unknownFailure(name, ruleIds, vendor)
  }
  return { rules, faults }
}

function isFault(name: string): name is FaultKind {
  return (FAULT_KINDS as readonly string[]).includes(name)
}

export function unknownFailure(name: string, ruleIds: readonly string[], vendor: string) {
  const names = [...ruleIds, ...FAULT_KINDS]
  return configurationError(
    'unknown_failure',
    `The twin of ${vendor} cannot fail with ${JSON.stringify(name)}${didYouMean(name, names)}`,
    `Rules of the profile: ${ruleIds.join(', ')}. Faults: ${FAULT_KINDS.join(', ')}.`,
    { name },
  )
}

function invalidShare(name: string, share: number) {
  return configurationError(
    'invalid_share',
    `${name}: ${share} is not a share of the requests`,
    'Give a number from 0 to 1: 0.05 is every twentieth.',
  )
}
