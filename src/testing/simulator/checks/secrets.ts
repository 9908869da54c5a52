/** Rule 7: no credential in any event, record, dead letter or explanation, also where an API repeats it in its answer. */
import type { WrittenIntegration } from '../../../config/schema.ts'
import type { HoldfastEvent } from '../../../core/events.ts'
import type { Fact } from '../fact.ts'
import type { Scenario } from '../scenario.ts'
import type { CheckFactory } from './check.ts'

const SAMPLE = 20
/** Shorter ones would be found in anything. */
const SHORTEST = 8

export const secretsNeverLeave: CheckFactory = ({ scenario, violated }) => {
  const secrets = secretsOf(scenario)
  if (secrets.length === 0) return { name: 'secrets never leave' }

  function look(text: string | undefined, where: string, itemId?: string): void {
    if (text === undefined || !secrets.some((secret) => text.includes(secret))) return
    violated(`a credential stands in ${where}`, itemId === undefined ? {} : { itemId })
  }

  function onStore(fact: Extract<Fact, { kind: 'store' }>): void {
    if (fact.method === 'settle') {
      for (const settlement of fact.request[0]) {
        const { itemId, to, attempt, memo } = settlement
        look(to.state === 'succeeded' ? to.output : JSON.stringify(to), 'what an item was settled as', itemId)
        if (attempt?.failure || attempt?.note) look(JSON.stringify(attempt), 'an attempt', itemId)
        if (memo) look(memo, 'a memo', itemId)
      }
    } else if (fact.method === 'updateHealth' || fact.method === 'suspendLanes' || fact.method === 'closeGates') {
      look(JSON.stringify(fact.request[0]), `a record of ${fact.method}`)
    }
  }

  return {
    name: 'secrets never leave',
    observe(fact) {
      if (fact.kind === 'store') onStore(fact)
      else if (fact.kind === 'event' && mayTell(fact.event)) look(textOf(fact.event), `an event ${fact.event.type}`)
      else if (fact.kind === 'operation') look(fact.outcome, 'what an operator was told')
    },
    async end({ ledger, spectator }) {
      const { rows } = await ledger.items({ states: ['dead_lettered', 'unknown_outcome'] }, { limit: SAMPLE })
      for (const { itemId } of rows) {
        look(JSON.stringify(await ledger.item(itemId)), 'the record of an item', itemId)
        look(JSON.stringify(await spectator.operations.explain(itemId)), 'an explanation', itemId)
      }
      look(JSON.stringify(await ledger.groups({})), 'the groups of dead letters')
      look(JSON.stringify(await ledger.lanes()), 'the lanes')
    },
  }
}

/** Others hold names, ids and numbers only; they come by the thousand. */
function mayTell(event: HoldfastEvent): boolean {
  if (event.type === 'call.ended' || event.type === 'item.settled') return event.failure !== undefined
  return event.type === 'engine.trouble' || event.type === 'breaker.changed' || 'reason' in event
}

/** Errors hide their text from JSON. */
function textOf(event: HoldfastEvent): string {
  const cause = event.type === 'engine.trouble' && event.cause instanceof Error ? `${event.cause.stack}` : ''
  return JSON.stringify(event) + cause
}

function secretsOf({ apis, troubles }: Scenario): readonly string[] {
  const written: Partial<WrittenIntegration>[] = apis.map(({ integration }) => integration)
  for (const trouble of troubles) {
    if (trouble.kind === 'rolling_restart') written.push(...Object.values(trouble.config ?? {}))
  }
  return written.map(({ auth }) => secretOf(auth)).filter((secret) => secret.length >= SHORTEST)
}

function secretOf(auth: WrittenIntegration['auth']): string {
  switch (auth?.type) {
    case 'bearer':
      return auth.token
    case 'basic':
      return auth.password
    case 'header':
      return auth.value
    default:
      return ''
  }
}
