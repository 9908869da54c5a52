import type { Command } from 'commander'
import type { Holdfast } from '../../engine/api.ts'
import type { CliContext } from '../context.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { isHeld, laneTable } from '../output/items.ts'
import type { Registrar } from '../registrar.ts'

export function define(command: Command, registrar: Registrar): void {
  command.description('Shows the APIs and how they are; stops and restarts the work on one.')
  registrar.examples(command, [
    ['holdfast integrations', 'all of them'],
    ['holdfast integrations suspend hubspot --reason "new key"', 'hold everything for it'],
    ['holdfast integrations resume hubspot', 'go on'],
  ])

  const list = command.command('list', { isDefault: true }).description('Lists the integrations (the default).')
  registrar.handle(list, (context) => context.withHoldfast('look', (holdfast) => show(context, holdfast)))

  const suspend = command
    .command('suspend <name>')
    .description('Holds all items of an integration, without using their attempts, until it is resumed.')
    .requiredOption('--reason <text>', 'why, for those who come later')
  registrar.handle<{ reason: string }>(suspend, (context, { reason }, [name = '']) =>
    context.withHoldfast('look', async ({ operations }) => {
      const lanes = await operations.suspend(name, reason)
      context.output.result({ suspended: lanes, reason }, () => `Suspended: ${lanes.join(', ')}.`)
      context.output.next(`holdfast integrations resume ${name}`, 'when it may go on')
      return EXIT.done
    }),
  )

  const resume = command.command('resume <name>').description('Lets the items of an integration go on.')
  registrar.handle(resume, (context, _options, [name = '']) =>
    context.withHoldfast('look', async ({ operations }) => {
      const lanes = await operations.resume(name)
      context.output.result({ resumed: lanes }, () => `Resumed: ${lanes.join(', ')}.`)
      context.output.next('holdfast status')
      return EXIT.done
    }),
  )
}

async function show(context: CliContext, { operations }: Holdfast): Promise<ExitCode> {
  const { output, host } = context
  const nowMs = host.clock.wallMs()
  const integrations = await operations.integrations()
  output.result({ integrations }, () => {
    if (integrations.length === 0) return 'No integrations are configured.'
    const overview = output.table(
      [
        { title: 'integration', value: ({ name }) => name },
        { title: 'base URL', value: ({ baseUrl }) => baseUrl, flexible: true },
        { title: 'channels due', value: ({ due }) => due, align: 'right' },
        { title: 'breakers not closed', value: ({ breakers }) => breakers.filter(isIll).length, align: 'right' },
      ],
      integrations,
    )
    const lanes = integrations.flatMap((integration) => integration.lanes)
    return lanes.length > 0 ? `${overview}\n\n${laneTable(output, lanes, nowMs)}` : overview
  })
  const held = integrations.find(({ lanes }) => lanes.some((lane) => lane.suspended && isHeld(lane, nowMs)))
  if (held) output.next(`holdfast integrations resume ${held.name}`, 'when its cause is gone')
  else if (integrations.some(({ breakers }) => breakers.some(isIll))) output.next('holdfast breakers')
  return EXIT.done
}

function isIll({ phase }: { phase: string }): boolean {
  return phase !== 'closed'
}
