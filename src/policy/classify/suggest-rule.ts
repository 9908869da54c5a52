/** From a failure that no rule knew to the rule that could be written for it (R018, R031). */
import type { WrittenErrorRule } from '../../config/profile-rule.ts'
import type { Failure } from '../../core/failure.ts'

/** Statuses that mean the same everywhere: a rule for them would only repeat the default table. */
const CLEAR_STATUSES: ReadonlySet<number> = new Set([429, 502, 503, 504])

/** True for an answer that only the default table could judge, and whose body may say more than its status. */
export function isDecidedByDefault({ rule, status }: Pick<Failure, 'rule' | 'status'>): boolean {
  if (status === undefined || CLEAR_STATUSES.has(status)) return false
  return rule.startsWith('default:')
}

/** Matches the failure by status and, where it had one, by code; means what the default table took it for. */
export function suggestedRule(failure: Failure): WrittenErrorRule {
  const { status, code, bodyExcerpt } = failure
  const hasCode = code !== '' && code !== `http_${status}`
  // Codes of ours, such as `version_conflict`, do not stand in the body.
  const isTheirs = hasCode && (bodyExcerpt ?? '').includes(code)
  return {
    id: idOf(status, hasCode ? code : undefined),
    ...(status !== undefined && { status }),
    ...(isTheirs && { code }),
    class: writableClass(failure.class),
    hint: failure.hint,
  }
}

function writableClass(failureClass: Failure['class']): NonNullable<WrittenErrorRule['class']> {
  return failureClass === 'held' || failureClass === 'cancelled' ? 'unknown' : failureClass
}

function idOf(status: number | undefined, code: string | undefined): string {
  const words = (code ?? `http-${status}`)
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
  return words.slice(0, 60).replace(/-$/, '') || 'unnamed'
}
