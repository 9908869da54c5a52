/** The demo as it happens: a few lines that are drawn again and again on a terminal, or one line every few seconds in a log. */
import type { Clock, Timer } from '../../core/clock.ts'
import type { Holdfast } from '../../engine/api.ts'
import type { Host } from '../host.ts'
import { coloursFor } from '../output/colours.ts'
import type { Outage } from './story.ts'
import type { DemoTwins } from './twins.ts'

export interface DisplayFacts {
  readonly host: Host
  readonly clock: Clock
  readonly holdfast: Holdfast
  readonly twins: DemoTwins
  readonly outage: Outage
  readonly leads: number
  readonly kills: () => number
}

const REDRAW_MS = 200
const LOG_EVERY_MS = 2000
const BAR_WIDTH = 28

export function startDisplay(facts: DisplayFacts): { stop(): Promise<void> } {
  const { host, clock } = facts
  const everyMs = host.stderr.isTerminal ? REDRAW_MS : LOG_EVERY_MS
  let drawnLines = 0
  let before = { atMs: clock.monotonicMs(), succeeded: 0 }
  let stopped = false
  let timer: Timer = clock.setTimer(everyMs, round)
  let drawing: Promise<void> = Promise.resolve()

  function round(): void {
    drawing = draw().finally(() => {
      if (!stopped) timer = clock.setTimer(everyMs, round)
    })
  }

  async function draw(): Promise<void> {
    const picture = await take(facts)
    const nowMs = clock.monotonicMs()
    const perSecond = Math.max(0, ((picture.succeeded - before.succeeded) / Math.max(1, nowMs - before.atMs)) * 1000)
    before = { atMs: nowMs, succeeded: picture.succeeded }
    const lines = host.stderr.isTerminal ? panel(facts, picture, perSecond) : [logLine(facts, picture, perSecond)]
    const up = host.stderr.isTerminal && drawnLines > 0 ? `\u001b[${drawnLines}A\u001b[J` : ''
    host.stderr.write(`${up}${lines.join('\n')}\n`)
    drawnLines = lines.length
  }

  return {
    async stop() {
      stopped = true
      timer.cancel()
      await drawing
      if (host.stderr.isTerminal) await draw()
    },
  }
}

interface Picture {
  readonly succeeded: number
  readonly retrying: number
  readonly parked: number
  readonly unknown: number
  readonly dead: number
  readonly lanes: readonly {
    readonly name: string
    readonly done: number
    readonly busy: number
    readonly state: string
  }[]
}

async function take({ holdfast, twins, clock }: DisplayFacts): Promise<Picture> {
  const [balance, integrations] = await Promise.all([holdfast.operations.balance(), holdfast.operations.integrations()])
  const nowMs = clock.wallMs()
  const enriched = twins.enrichment.requests.byOutcome.get('http_200') ?? 0
  const done = { enrichment: enriched, crm: twins.crm.effects.length, sequencer: twins.sequencer.effects.length }
  return {
    succeeded: balance.states.succeeded,
    retrying: balance.states.retrying,
    parked: balance.states.parked,
    unknown: balance.states.unknown_outcome,
    dead: balance.states.dead_lettered,
    lanes: integrations.map((integration) => {
      const [lane] = integration.lanes
      const open = integration.breakers.find((breaker) => breaker.phase !== 'closed')
      const gateMs = (lane?.gateUntilMs ?? 0) - nowMs
      const state = open
        ? `breaker ${open.phase.replace('_', '-')}: ${open.reason}`
        : gateMs > 0
          ? `gate closed for ${(gateMs / 1000).toFixed(1)} s (429)`
          : 'ok'
      const name = integration.name as keyof typeof done
      return { name, done: done[name] ?? 0, busy: lane?.processing ?? 0, state }
    }),
  }
}

function panel(facts: DisplayFacts, picture: Picture, perSecond: number): string[] {
  const colours = coloursFor(facts.host.stderr, facts.host.env)
  const lanes = picture.lanes.map((lane) => {
    const share = Math.min(1, lane.done / facts.leads)
    const bar = '█'.repeat(Math.round(share * BAR_WIDTH)).padEnd(BAR_WIDTH, '░')
    const state = lane.state === 'ok' ? colours.good(lane.state) : colours.warn(lane.state)
    return `${lane.name.padEnd(11)} ${bar} ${String(lane.done).padStart(5)}/${facts.leads}  ${String(lane.busy).padStart(2)} under way  ${state}`
  })
  const outage = facts.outage.active
    ? colours.bad(`the CRM is DOWN: ${facts.outage.calls} calls have reached it since`)
    : facts.outage.over
      ? colours.good(`the CRM is back; while it was down, ${facts.outage.calls} calls reached it`)
      : colours.dim('the CRM will go down in a moment')
  const kills = facts.kills() > 0 ? `   workers killed: ${facts.kills()}` : ''
  return [
    ...lanes,
    `${Math.round(perSecond)} steps/s   retrying ${picture.retrying}   held ${picture.parked}   unknown, being looked for ${picture.unknown}   dead letters ${picture.dead}${kills}`,
    outage,
  ].map((line) => clip(line, facts.host.stderr.width))
}

function logLine(facts: DisplayFacts, picture: Picture, perSecond: number): string {
  const lanes = picture.lanes.map((lane) => `${lane.name} ${lane.done}${lane.state === 'ok' ? '' : ` [${lane.state}]`}`)
  const outage = facts.outage.active ? ` | CRM DOWN, ${facts.outage.calls} calls reached it` : ''
  return `${Math.round(perSecond)} steps/s | ${lanes.join(' | ')} | held ${picture.parked}, retrying ${picture.retrying}, dead ${picture.dead}${outage}`
}

/** A line that wraps would spoil the redrawing; colour codes have no width. */
function clip(line: string, width: number): string {
  let visible = 0
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colour codes begin with one
  const pieces = line.match(/\u001b\[[0-9;]*m|./gsu) ?? []
  return pieces.filter((piece) => piece.startsWith('\u001b') || visible++ < width - 1).join('')
}
