/**
 * `npm run simulate`: the real engine in simulated worlds, one per seed, each with bad luck of its own. See docs/testing.md.
 */
import { availableParallelism } from 'node:os'
import type { Command } from 'commander'
import { EXIT, type ExitCode } from '../src/cli/exit-codes.ts'
import { systemHost } from '../src/cli/host.ts'
import { createOutput, type Output } from '../src/cli/output/output.ts'
import { configurationError } from '../src/core/errors.ts'
import { randomInteger } from '../src/core/random.ts'
import { systemRandom } from '../src/system/system-random.ts'
import { createProgram, runProgram, wholeNumber } from './program.ts'
import { type CampaignResult, hasPassed, runCampaign } from './simulation/campaign.ts'
import { openPool, type Pool } from './simulation/pool.ts'
import { campaignProgress } from './simulation/progress.ts'
import { runSingle, scenarioFrom, singleText } from './simulation/single.ts'
import { campaignText, replayCommand } from './simulation/summary.ts'

interface Options {
  readonly seeds: number
  readonly from: number
  readonly fresh?: boolean
  readonly jobs: number
  readonly twice?: boolean
  readonly bail?: true | string
  readonly seed?: string
  readonly scenario?: string
  readonly item?: readonly string[]
  readonly all?: boolean
  readonly shrink?: boolean
  readonly check?: string
  readonly keep?: string
  readonly found?: string
  readonly json?: boolean
}

const host = systemHost()

const HELP = `
Exit codes: 0 no violation, 1 a violation (or something was never exercised), 2 wrong usage, 130 interrupted.

Examples:
  $ npm run simulate -- --seeds 1000                       a thousand worlds, the same ones each time
  $ npm run simulate -- --seeds 1000 --fresh               a thousand that nobody has seen
  $ npm run simulate -- --seed 4711                        one world, with the story of what went wrong
  $ npm run simulate -- --seed 4711 --item r17.crm         ... or of one item (or one run: r17)
  $ npm run simulate -- --seed 4711 --shrink --keep lost-wake-up --found 'why it failed'
  $ npm run simulate -- --scenario test/simulation/corpus/lost-wake-up.json

See docs/testing.md.`

function defineProgram(): Command {
  return createProgram('npm run simulate --', host, HELP)
    .description(
      'Runs the real engine in simulated worlds: virtual time, seeded chance, and everything that can go wrong.',
    )
    .option('--seeds <count>', 'how many seeds', wholeNumber(1), 100)
    .option('--from <seed>', 'the first of them', wholeNumber(0), 1)
    .option('--fresh', 'begin at a seed drawn by chance (it is printed)')
    .option('--jobs <count>', 'processes at once (default: one per core)', wholeNumber(1), availableParallelism())
    .option('--twice', 'run every seed twice and compare the traces (default: one in 50)')
    .option('--bail [check]', 'end at the first seed that fails, or that violates this check')
    .option('--seed <seed>', 'one seed, with its story')
    .option('--scenario <file>', 'one stored scenario, with its story')
    .option('--item <id...>', 'tell about these items or runs only')
    .option('--all', 'tell about everything, where something failed too')
    .option('--shrink', 'look for the smallest scenario that fails the same way')
    .option('--check <name>', 'the check that must stay violated (default: the first that is)')
    .option('--keep <name>', 'store the scenario in the corpus, test/simulation/corpus')
    .option('--found <text>', 'what it found, for the corpus')
}

async function main(options: Options, signal: AbortSignal): Promise<ExitCode> {
  checkTogether(options)
  const output = createOutput(host, { json: options.json ?? false })
  const isSingle = options.seed !== undefined || options.scenario !== undefined
  using pool = openPool({ clock: host.clock, jobs: isSingle ? 1 : options.jobs })
  return isSingle ? await single(options, pool, output) : await campaign(options, pool, output, signal)
}

function checkTogether({ seed, scenario, item, shrink, keep, all, fresh }: Options): void {
  const isSingle = seed !== undefined || scenario !== undefined
  const wrong =
    seed !== undefined && scenario !== undefined
      ? '--seed and --scenario exclude each other'
      : !isSingle && (item || shrink || keep !== undefined || all)
        ? '--item, --all, --shrink and --keep need --seed or --scenario'
        : isSingle && fresh
          ? '--fresh is for many seeds'
          : keep !== undefined && !/^[a-z0-9][a-z0-9-]*$/.test(keep)
            ? `--keep ${keep}: a name of small letters, digits and dashes is needed`
            : undefined
  if (wrong !== undefined) throw configurationError('invalid_options', wrong, 'npm run simulate -- --help')
}

async function campaign(options: Options, pool: Pool, output: Output, signal: AbortSignal): Promise<ExitCode> {
  const from = options.fresh ? randomInteger(systemRandom, 1, 1_000_000_000) : options.from
  const seeds = Array.from({ length: options.seeds }, (_, index) => String(from + index))
  if (options.fresh) output.note(`seeds ${from} to ${from + options.seeds - 1}`)
  const progress = await campaignProgress(host.stderr.isTerminal && !output.json, options.seeds)
  const result = await runCampaign(
    { seeds, twice: options.twice === true, bail: options.bail ?? false },
    { pool, clock: host.clock, signal, onSeed: progress.show },
  )
  progress.stop()
  const look = { width: host.stdout.width, colours: output.colours }
  output.result(jsonOf(result), () => campaignText(result, look))
  if (signal.aborted) return EXIT.interrupted
  return hasPassed(result) ? EXIT.done : EXIT.failed
}

function jsonOf(result: CampaignResult): unknown {
  const failed = result.failed.map(({ seed, summary, violations }) => ({
    seed,
    summary,
    violations,
    replay: replayCommand(seed),
  }))
  return { ...result, passed: hasPassed(result), failed }
}

async function single(options: Options, pool: Pool, output: Output): Promise<ExitCode> {
  const interruption = new AbortController()
  using _listening = host.onInterrupt(() => {
    if (options.shrink !== true || interruption.signal.aborted) host.exit(EXIT.interrupted)
    host.stderr.write('\nEnding with what is smallest by now (Ctrl-C again: at once)\n')
    interruption.abort()
  })
  const orders = {
    scenario: scenarioFrom(options.seed, options.scenario),
    items: options.item ?? [],
    all: options.all === true,
    twice: options.twice === true,
    shrink: options.shrink === true,
    signal: interruption.signal,
    check: options.check,
    keep: options.keep,
    found: options.found,
    today: new Date(host.clock.wallMs()).toISOString().slice(0, 10),
  }
  const result = await runSingle(orders, pool, output)
  output.result(result, () => singleText(result, output))
  return result.report.violations.length === 0 ? EXIT.done : EXIT.failed
}

process.exitCode = await runProgram(defineProgram(), host, process.argv.slice(2), main)
