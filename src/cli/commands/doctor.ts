import type { Command } from 'commander'
import { isHoldfastError, messageOf } from '../../core/errors.ts'
import type { Holdfast } from '../../engine/api.ts'
import type { Balance } from '../../ledger/port.ts'
import type { CliContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { isHeld } from '../output/items.ts'
import { printable } from '../output/printable.ts'
import type { Registrar } from '../registrar.ts'

interface Finding {
  readonly verdict: 'ok' | 'attention' | 'broken'
  readonly check: string
  readonly what: string
  /** What to do about it. */
  readonly hint?: string
}

export function define(command: Command, registrar: Registrar): void {
  command.description(
    'Checks this installation: Node, configuration, credentials, store, books, and whether anybody works on what is due.',
  )
  registrar.examples(command, [['holdfast doctor', 'after installing, and whenever something seems odd']])
  registrar.handle(command, async (context) => {
    const findings = [nodeVersion(), ...(await checkConfiguration(context)), ...(await checkStore(context))]
    const { output } = context
    output.result({ findings }, () => findings.map((finding) => wordFinding(context, finding)).join('\n'))
    if (findings.some(({ verdict }) => verdict === 'broken')) return EXIT.failed
    if (findings.some(({ verdict }) => verdict === 'attention')) {
      output.next('holdfast status')
      return EXIT.needsPerson
    }
    return EXIT.done
  })
}

function nodeVersion(): Finding {
  return { verdict: 'ok', check: 'node', what: process.version }
}

/** With all credentials: what a worker needs. */
async function checkConfiguration(context: CliContext): Promise<Finding[]> {
  try {
    const { file, integrations, pipelines } = await context.config('send')
    const what = `${file ?? 'given in code'}: ${integrations.length} integrations, ${pipelines.length} pipelines`
    return [{ verdict: 'ok', check: 'configuration', what }]
  } catch (error) {
    return [broken('configuration', error)]
  }
}

async function checkStore(context: CliContext): Promise<Finding[]> {
  try {
    return await context.withHoldfast('look', (holdfast) => checkLedger(context, holdfast))
  } catch (error) {
    return [broken('store', error)]
  }
}

async function checkLedger({ host }: CliContext, { operations }: Holdfast): Promise<Finding[]> {
  const nowMs = host.clock.wallMs()
  const [audit, lanes, breakers] = await Promise.all([operations.audit(), operations.lanes(), operations.breakers()])
  const broken = audit.checks.filter(({ violations }) => violations > 0)
  const held = lanes.filter((lane) => isHeld(lane, nowMs))
  const ill = breakers.filter(({ phase }) => phase !== 'closed')
  const { needsPerson } = audit.balance
  return [
    audit.balanced && broken.length === 0
      ? { verdict: 'ok', check: 'books', what: `${audit.balance.accepted} accepted, balanced` }
      : {
          verdict: 'broken',
          check: 'books',
          what: broken.map(({ description }) => description).join('; ') || 'they do not balance',
          hint: 'Run `holdfast audit`, keep a copy of the store, and report it: this must never happen.',
        },
    needsPerson === 0
      ? { verdict: 'ok', check: 'dead letters', what: 'none needs a person' }
      : {
          verdict: 'attention',
          check: 'dead letters',
          what: `${needsPerson} need a person`,
          hint: 'holdfast dlq groups',
        },
    held.length === 0
      ? { verdict: 'ok', check: 'lanes', what: 'all open' }
      : {
          verdict: 'attention',
          check: 'lanes',
          what: held.map(({ lane }) => lane).join(', '),
          hint: 'holdfast integrations',
        },
    ill.length === 0
      ? { verdict: 'ok', check: 'breakers', what: 'all closed' }
      : {
          verdict: 'attention',
          check: 'breakers',
          what: ill.map(({ key }) => key).join(', '),
          hint: 'holdfast breakers',
        },
    checkWorkers(audit.balance.states),
  ]
}

function checkWorkers({ queued, processing }: Balance['states']): Finding {
  if (queued === 0 || processing > 0) return { verdict: 'ok', check: 'workers', what: 'nothing waits for one' }
  const what = `${queued} items are queued, and right now nobody works on any`
  return { verdict: 'attention', check: 'workers', what, hint: 'holdfast worker' }
}

function broken(check: string, error: unknown): Finding {
  const hint = isHoldfastError(error) ? error.hint : ''
  return { verdict: 'broken', check, what: messageOf(error), ...(hint && { hint }) }
}

function wordFinding({ output }: CliContext, { verdict, check, what, hint }: Finding): string {
  const { good, warn, bad, dim } = output.colours
  const mark = { ok: good('ok       '), attention: warn('attention'), broken: bad('BROKEN   ') }[verdict]
  const lines = what.split('\n').map(printable)
  return [`${mark} ${check}: ${lines.join('\n          ')}`, ...(hint ? [dim(`          ${hint}`)] : [])].join('\n')
}
