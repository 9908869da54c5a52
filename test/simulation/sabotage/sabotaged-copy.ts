/** A copy of the source with one sabotage in it, and the simulate command of that copy. */
import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Violation } from '../../../src/testing/simulator/checks/check.ts'
import type { Sabotage } from './sabotages.ts'

const ROOT = resolve(import.meta.dirname, '../../..')

export interface Caught {
  /** Of the simulate command: 1 where it found something. */
  readonly exitCode: number | null
  /** How many seeds it took. */
  readonly seeds: number
  readonly failed: readonly { readonly seed: string; readonly violations: readonly Violation[] }[]
}

/** Runs up to `seeds` seeds of the sabotaged copy, from the sabotage's own on, until one fails by its check. */
export async function runSabotaged(sabotage: Sabotage, seeds: number): Promise<Caught> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-sabotage-'))
  try {
    for (const part of ['src', 'tools', 'package.json'])
      cpSync(join(ROOT, part), join(folder, part), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
    const file = join(folder, sabotage.file)
    writeFileSync(file, sabotaged(readFileSync(file, 'utf8'), sabotage))
    const words = ['--seeds', seeds, '--from', sabotage.seed, '--bail', sabotage.check, '--jobs', 1]
    return await simulate(folder, words.map(String))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** @throws Error where a text is not there exactly once. */
export function sabotaged(source: string, { name, file, changes }: Sabotage): string {
  return changes.reduce((text, { from, to }) => {
    const pieces = text.split(from)
    if (pieces.length !== 2) {
      throw new Error(`"${name}": ${file} must hold this exactly once, not ${pieces.length - 1} times:\n${from}`)
    }
    return pieces.join(to)
  }, source)
}

async function simulate(folder: string, words: readonly string[]): Promise<Caught> {
  const child = spawn(process.execPath, [join(folder, 'tools/simulate.ts'), ...words, '--json'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const killAtExit = (): void => void child.kill('SIGKILL')
  process.once('exit', killAtExit)
  const said = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (piece: string) => {
      said[name] += piece
    })
  }
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', resolve)
  })
  process.off('exit', killAtExit)
  if (said.stdout === '') throw new Error(`The simulation said nothing (exit code ${exitCode}):\n${said.stderr}`)
  return { ...(JSON.parse(said.stdout) as Omit<Caught, 'exitCode'>), exitCode }
}
