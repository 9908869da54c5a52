/** Profiles as lists and tables show them. */
import type { Profile } from '../config/profile.ts'
import type { ErrorRule } from '../config/settings.ts'
import { STATUS_RULES } from '../policy/classify/default-rules.ts'

export interface ProfileOverview {
  readonly name: string
  readonly title: string
  readonly rules: number
  /** By how sure their sources are. */
  readonly vendor: number
  readonly secondHand: number
  readonly unverified: number
  readonly docs: readonly string[]
}

export interface DefaultRow {
  readonly status: number
  readonly class: string
  readonly certainty: string
  readonly source: string
}

export function overviewOf({ name, title, docs, rules }: Profile): ProfileOverview {
  const count = (wanted: string) => rules.filter(({ source }) => source.certainty === wanted).length
  const [vendor, secondHand, unverified] = [count('vendor'), count('second_hand'), count('unverified')]
  return { name, title, rules: rules.length, vendor, secondHand, unverified, docs }
}

/** Statuses that a rule decides whatever else the answer says never come to the default table. */
export function defaultRows(rules: readonly ErrorRule[]): DefaultRow[] {
  const decided = new Set(rules.filter(asksOnlyForStatus).flatMap(({ status }) => [status ?? []].flat()))
  return Object.entries(STATUS_RULES)
    .map(([status, rule]) => ({
      status: Number(status),
      class: rule.class,
      certainty: rule.certainty,
      source: rule.source,
    }))
    .filter(({ status }) => !decided.has(status))
}

function asksOnlyForStatus({ code, message, header, body, method, endpoint }: ErrorRule): boolean {
  return [code, message, header, body, method, endpoint].every((condition) => condition === undefined)
}
