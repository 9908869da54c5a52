import type { Command } from 'commander'
import type { CredentialView } from '../../client/credentials/operators.ts'
import type { Holdfast } from '../../engine/api.ts'
import type { AuditReport, Balance } from '../../ledger/port.ts'
import type { CliContext } from '../context.ts'
import { attention, broken, type Finding, failed, movingOn, ok } from '../doctor/finding.ts'
import { judgeTimeouts, timeoutsText } from '../doctor/timeouts.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { isHeld } from '../output/items.ts'
import { printable } from '../output/printable.ts'
import type { Registrar } from '../registrar.ts'

export function define(command: Command, registrar: Registrar): void {
  command.description(
    'Checks this installation: Node, configuration, credentials, store, books, and whether anybody works on what is due. On PostgreSQL also the server: settings, clock, locks, bloat. Each finding comes with its fix.',
  )
  command.option('--timeouts', 'only timeouts: how long calls took on the last seven days, and which timeouts fit that')
  registrar.examples(command, [
    ['holdfast doctor', 'after installing, and whenever something seems odd'],
    ['holdfast doctor --timeouts', 'which timeouts to set, and why'],
  ])
  registrar.handle<{ readonly timeouts?: boolean }>(command, async (context, { timeouts }) => {
    if (timeouts) return tellTimeouts(context)
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

async function tellTimeouts(context: CliContext): Promise<ExitCode> {
  const timeouts = await context.withHoldfast('look', ({ operations }) => operations.suggestTimeouts())
  const { output } = context
  output.result({ timeouts }, () => timeoutsText(output, timeouts))
  return EXIT.done
}

function nodeVersion(): Finding {
  return ok('node', process.version)
}

/** With all credentials: what a worker needs. */
async function checkConfiguration(context: CliContext): Promise<Finding[]> {
  try {
    const { file, integrations, pipelines } = await context.config('send')
    const what = `${file ?? 'given in code'}: ${integrations.length} integrations, ${pipelines.length} pipelines`
    return [ok('configuration', what)]
  } catch (error) {
    return [failed('configuration', error)]
  }
}

async function checkStore(context: CliContext): Promise<Finding[]> {
  try {
    const { store } = await context.config('look')
    if (store.kind === 'sqlite') return [...(await checkMove(store.path)), ...(await checkBooks(context))]
    const { inspectServer } = await import('../../ledger/postgres/index.ts')
    const { canBeOpened, judgeServer } = await import('../doctor/server.ts')
    const facts = await inspectServer({ url: store.url, clock: context.host.clock })
    return [...judgeServer(facts), ...(canBeOpened(facts) ? await checkBooks(context) : [])]
  } catch (error) {
    return [failed('store', error)]
  }
}

async function checkBooks(context: CliContext): Promise<Finding[]> {
  return context.withHoldfast('look', (holdfast) => checkLedger(context, holdfast))
}

async function checkMove(path: string): Promise<Finding[]> {
  const { moveOf } = await import('../../ledger/sqlite/index.ts')
  const move = await moveOf(path)
  if (!move) return []
  if (!move.finished) return [movingOn(`this store is being moved to ${move.target}`)]
  const hint = 'Set "store" in the configuration to that address.'
  return [attention('move', `this store has moved to ${move.target}`, hint)]
}

async function checkLedger({ host }: CliContext, { operations }: Holdfast): Promise<Finding[]> {
  const nowMs = host.clock.wallMs()
  const [audit, lanes, breakers, credentials, disabled, timeouts] = await Promise.all([
    operations.audit(),
    operations.lanes(),
    operations.breakers(),
    operations.credentials(),
    operations.disabledAddresses(),
    operations.suggestTimeouts(),
  ])
  const held = lanes.filter((lane) => isHeld(lane, nowMs))
  const ill = breakers.filter(({ phase }) => phase !== 'closed')
  const { needsPerson, states } = audit.balance
  return [
    checkAudit(audit),
    needsPerson === 0
      ? ok('dead letters', 'none needs a person')
      : attention('dead letters', `${needsPerson} need a person`, 'holdfast dlq groups'),
    held.length === 0
      ? ok('lanes', 'all open')
      : attention('lanes', held.map(({ lane }) => lane).join(', '), 'holdfast integrations'),
    ill.length === 0
      ? ok('breakers', 'all closed')
      : attention('breakers', ill.map(({ key }) => key).join(', '), 'holdfast breakers'),
    checkCredentials(credentials),
    disabled.length === 0
      ? ok('callbacks', 'no address is disabled')
      : attention(
          'callbacks',
          `disabled, because they answered 410: ${disabled.map(({ address, integration }) => `${address} of ${integration}`).join(', ')}`,
          'holdfast callbacks',
        ),
    judgeTimeouts(timeouts),
    checkWorkers(states),
  ]
}

function checkAudit({ balanced, balance, checks }: AuditReport): Finding {
  const wrong = checks.filter(({ violations }) => violations > 0)
  if (balanced && wrong.length === 0) return ok('books', `${balance.accepted} accepted, balanced`)
  return broken(
    'books',
    wrong.map(({ description }) => description).join('; ') || 'they do not balance',
    'Run `holdfast audit`, keep a copy of the store, and report it: this must never happen.',
  )
}

function checkCredentials(credentials: readonly CredentialView[]): Finding {
  const unreadable = credentials.find(({ health }) => health === 'unreadable')
  if (unreadable) {
    const hint =
      'Give this process the key that they were encrypted with: HOLDFAST_KEY, or `keys` in the configuration.'
    return broken('credentials', unreadable.reason, hint)
  }
  const ill = credentials.filter(({ health }) => health === 'missing' || health === 'refused')
  if (ill.length > 0) {
    const what = ill.map(({ name, health, reason }) => `${name}: ${health}, ${reason}`).join('\n')
    return attention('credentials', what, 'holdfast credentials')
  }
  const older = credentials.filter(({ keyIsPresent }) => !keyIsPresent)
  const what = `${credentials.length} configured or stored, all usable`
  if (older.length === 0) return ok('credentials', what)
  return ok(
    'credentials',
    `${what}; ${older.length} still encrypted with an older key`,
    'holdfast credentials rotate-key',
  )
}

function checkWorkers({ queued, processing }: Balance['states']): Finding {
  if (queued === 0 || processing > 0) return ok('workers', 'nothing waits for one')
  const what = `${queued} items are queued, and right now nobody works on any`
  return attention('workers', what, 'holdfast worker')
}

function wordFinding({ output }: CliContext, { verdict, check, what, hint }: Finding): string {
  const { good, warn, bad, dim } = output.colours
  const mark = { ok: good('ok       '), attention: warn('attention'), broken: bad('BROKEN   ') }[verdict]
  const lines = what.split('\n').map(printable)
  return [`${mark} ${check}: ${lines.join('\n          ')}`, ...(hint ? [dim(`          ${hint}`)] : [])].join('\n')
}
