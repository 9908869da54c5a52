/** `npm run fuzz`: hostile requests for a real `holdfast serve`. See docs/testing.md. */
import type { Command } from 'commander'
import { EXIT, type ExitCode } from '../src/cli/exit-codes.ts'
import { systemHost } from '../src/cli/host.ts'
import { createOutput } from '../src/cli/output/output.ts'
import { randomInteger } from '../src/core/random.ts'
import { systemRandom } from '../src/system/system-random.ts'
import { type FuzzResult, fuzz } from './fuzz/run.ts'
import { createProgram, runProgram, wholeNumber } from './program.ts'

const host = systemHost()

interface Options {
  readonly requests: number
  readonly seed?: number
  readonly json?: boolean
}

const HELP = `
Exit codes: 0 nothing broke; 1 something did; 2 wrong usage; 130 interrupted.

Examples:
  $ npm run fuzz -- --requests 8000               a few minutes
  $ npm run fuzz -- --requests 100000 --seed 7    the same requests each time

The same seed sends the same requests. See docs/testing.md.`

function defineProgram(): Command {
  return createProgram('npm run fuzz --', host, HELP)
    .description('Sends requests that mean harm, over sockets, to a gateway in a process of its own.')
    .option('--requests <count>', 'how many', wholeNumber(1), 100_000)
    .option('--seed <number>', 'default: drawn by chance, and told', wholeNumber(1))
}

async function main({ requests, seed: given, json = false }: Options, signal: AbortSignal): Promise<ExitCode> {
  const seed = given ?? randomInteger(systemRandom, 1, 999_999_999)
  const output = createOutput(host, { json })
  output.note(`seed ${seed}`)
  const onProgress = (sent: number) => output.note(`${sent} of ${requests} requests`)
  const result = await fuzz({ requests, seed }, { onProgress, signal })
  output.result(result, () => textOf(result))
  return result.passed ? EXIT.done : EXIT.failed
}

function textOf({ passed, problems, answers, called, openFiles, memoryMebibytes, requests, seed }: FuzzResult): string {
  const told = Object.entries(answers).map(([status, count]) => `${status === '0' ? 'none' : status}: ${count}`)
  return [
    `answers  ${told.join(', ')}`,
    `calls that reached the API  ${called}`,
    `open files  ${openFiles.join(' -> ')}`,
    `memory, MiB  ${memoryMebibytes.join(' -> ')}`,
    `again: npm run fuzz -- --requests ${requests} --seed ${seed}`,
    passed ? 'nothing broke' : ['FAILED', ...problems].join('\n  '),
  ].join('\n')
}

process.exitCode = await runProgram(defineProgram(), host, process.argv.slice(2), main)
