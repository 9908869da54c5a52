/** Rules in words, for decision tables. */
import type { ErrorRule, FactSource, RuleConditions, RuleWait } from '../../config/profile-rule.ts'

/** `409; message has "already exists"` */
export function conditionWords(rule: RuleConditions): string {
  const { status, code, codePath, message, header, body, method, endpoint } = rule
  const parts = [
    status === undefined ? undefined : [status].flat().join(' or '),
    method === undefined ? undefined : [method].flat().join(' or '),
    endpoint,
    code === undefined ? undefined : `${codePath ?? 'code'} ${[code].flat().join(' or ')}`,
    message === undefined ? undefined : `message has ${message.startsWith('/') ? message : `"${message}"`}`,
    header && `header ${header.name}${header.value === undefined ? '' : `: ${header.value}`}`,
    ...(body === undefined ? [] : [body].flat().map(bodyWords)),
  ]
  return parts.filter((part) => part !== undefined).join('; ') || 'never'
}

function bodyWords({ path, equals }: { path: string; equals?: unknown }): string {
  return equals === undefined ? `${path} is there` : `${path} is ${[equals].flat().join(' or ')}`
}

/** `what the body says in error.retry, else 30s` */
export function waitWords(wait: RuleWait | undefined): string {
  if (wait === undefined) return ''
  const until = wait.until?.replace('_', ' ')
  const zone = wait.timeZone === undefined ? '' : ` (${wait.timeZone})`
  const parts = [
    wait.path === undefined ? undefined : `${wait.path} of the body`,
    'as the answer says',
    until === undefined ? undefined : `until ${until === 'midnight' ? until : `the ${until}`}${zone}`,
    wait.otherwise,
  ].filter((part) => part !== undefined)
  return `${parts.join(', else ')}${wait.atLeast === undefined ? '' : `; at least ${wait.atLeast}`}`
}

export function sourceWords(source: ErrorRule['source']): string {
  if (source === undefined) return 'the configuration'
  if (typeof source === 'string') return source
  return `${source.url}, read ${source.read}${certaintyWords(source)}`
}

export function certaintyWords({ certainty }: FactSource): string {
  return { vendor: '', second_hand: ' (second-hand)', unverified: ' (unverified)' }[certainty]
}
