/** The story of a run, one line per fact: the same seed tells the same story to the byte. */
import { createHash } from 'node:crypto'
import type { HoldfastEvent } from '../../core/events.ts'
import type { Fact, StoreFact } from './fact.ts'

export interface Trace {
  add(fact: Fact): void
  /** SHA-256 over all lines. */
  hash(): string
  /** Empty unless kept. */
  readonly lines: readonly string[]
}

/** Characters: a call of the hash costs more than most lines. */
const PIECE_LENGTH = 10_000

export function createTrace(keep: boolean): Trace {
  const hash = createHash('sha256')
  const lines: string[] = []
  let unhashed = ''
  return {
    add(fact) {
      const line = traceLine(fact)
      unhashed += `${line}\n`
      if (unhashed.length > PIECE_LENGTH) {
        hash.update(unhashed)
        unhashed = ''
      }
      if (keep) lines.push(line)
    },
    hash: () => hash.copy().update(unhashed).digest('hex'),
    lines,
  }
}

/** `12 +0003.250s m1#1 sent POST /records call 4 item abc.charge` */
export function traceLine(fact: Fact): string {
  return `${fact.no} +${(fact.atMs / 1000).toFixed(3)}s ${factText(fact)}`
}

/** What happened, without number and time. */
export function factText(fact: Fact): string {
  switch (fact.kind) {
    case 'process_started':
      return `${fact.process} started`
    case 'process_ended':
      return `${fact.process} ${fact.how}`
    case 'process_frozen':
      return `${fact.process} frozen`
    case 'process_woken':
      return `${fact.process} woken`
    case 'acknowledged':
      return `${fact.process} accepted ${fact.pipeline} ${fact.record} as ${fact.runId}${fact.duplicate ? ' (known)' : ''}`
    case 'store':
      return `${fact.process} store ${fact.method} ${fact.refused ? `refused: ${fact.refused}` : storeText(fact)}${fact.heard ? '' : ' (unheard)'}`
    case 'sent':
      return `${fact.process} sent ${fact.method} ${fact.path} to ${fact.api}, call ${fact.call}, ${forWhom(fact)}`
    case 'answered':
      return `${fact.process} got ${fact.fault ?? fact.status} from ${fact.api}, call ${fact.call}, ${forWhom(fact)}`
    case 'effect':
      return `${fact.api} did ${fact.route} ${fact.key}`
    case 'code':
      return `${fact.process} code ${fact.what} ${fact.itemId}`
    case 'event':
      return `${fact.process} event ${eventText(fact.event)}`
    case 'trouble':
      return `trouble ${fact.what}: ${JSON.stringify(fact.trouble)}`
    case 'operation':
      return `operator ${fact.operation.what}: ${fact.outcome}`
    case 'quiet':
      return 'quiet: nothing goes wrong any more'
  }
}

function forWhom({
  itemId,
  shared,
}: {
  readonly itemId: string | undefined
  readonly shared?: readonly string[]
}): string {
  return shared ? `items ${shared.join(' ')}` : `item ${itemId ?? '-'}`
}

function storeText(fact: StoreFact): string {
  switch (fact.method) {
    case 'submit':
      return fact.result?.map(({ outcome, runId }) => `${runId} ${outcome}`).join(', ') ?? ''
    case 'claim':
    case 'reclaimExpired': {
      const items = fact.result?.map(({ itemId, token, from }) => `${itemId}#${token} from ${from}`).join(', ')
      return `${fact.isStanding ? 'by a submit: ' : ''}${items || 'nothing'}`
    }
    case 'extendLeases':
      return `${fact.request[0].length} held, lost ${fact.result?.map(({ itemId, token }) => `${itemId}#${token}`).join(', ') || 'none'}`
    case 'settle':
      return settleText(fact)
    case 'replay':
    case 'discard':
    case 'cancel':
    case 'resolve':
      return fact.result?.map(({ itemId, outcome }) => `${itemId} ${outcome}`).join(', ') ?? ''
    case 'wake':
      return `${fact.request[0].what} ${fact.request[0].lane ?? ''} ${fact.request[0].endpoint ?? ''}: ${fact.result}`
    case 'closeGates':
      return fact.request[0].map((gate) => JSON.stringify(gate)).join(', ')
    case 'updateHealth':
      return fact.request[0].map((change, index) => `${change.key} ${fact.result?.[index]?.applied}`).join(', ')
    case 'channels':
      return `${fact.result?.length}`
    default:
      return ''
  }
}

function settleText(fact: Extract<StoreFact, { method: 'settle' }>): string {
  const [settlements] = fact.request
  const texts = settlements.map(({ itemId, token, to }, index) => {
    const due = 'dueAtMs' in to && to.dueAtMs !== undefined ? ` due ${to.dueAtMs}` : ''
    return `${itemId}#${token} to ${to.state}${due}: ${fact.result?.[index]?.outcome}`
  })
  return texts.join(', ')
}

function eventText(event: HoldfastEvent): string {
  switch (event.type) {
    case 'item.settled':
      return `${event.type} ${event.itemId} ${event.state} (${event.reason})`
    case 'item.claimed':
    case 'item.lease_lost':
      return `${event.type} ${event.itemId}#${event.claim}`
    case 'breaker.changed':
      return `${event.type} ${event.key} ${event.from} -> ${event.to}`
    case 'gate.closed':
      return `${event.type} ${event.lane} until ${event.untilMs}`
    case 'call.held':
      return `${event.type} ${event.lane} ${event.endpoint} by ${event.by} until ${event.untilMs}`
    case 'engine.trouble':
      return `${event.type} ${event.where}: ${event.message}`
    default:
      return event.type
  }
}
