/** A temporary folder with real processes in it; both are gone afterwards, also when a test fails or runs out of time. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const HOLDFAST_PROGRAM = fileURLToPath(new URL('../../bin/holdfast.mjs', import.meta.url))

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunningProcess {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  /** All of stdout until now. */
  stdout(): string
  stderr(): string
  /** Resolves as soon as stdout or stderr holds the text; rejects where the process ends without it. */
  says(text: string): Promise<void>
}

export interface Workshop extends AsyncDisposable {
  readonly folder: string
  path(name: string): string
  write(name: string, text: string): void
  read(name: string): string
  /** Starts `holdfast ...words` in the folder. */
  start(...words: string[]): RunningProcess
  /** Runs it to its end. */
  holdfast(...words: string[]): Promise<Ended>
  /** Starts any program in the folder. */
  spawn(program: string, words: readonly string[], env?: Readonly<Record<string, string>>): RunningProcess
}

/** @param env Seen by every process, beside PATH. */
export function openWorkshop(env: Readonly<Record<string, string>> = {}): Workshop {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-test-'))
  const processes = new Set<RunningProcess>()
  const killAll = () => {
    for (const { child } of processes) child.kill('SIGKILL')
  }
  // Where a test runs out of time, nothing else cleans up.
  process.once('exit', killAll)

  function startProgram(program: string, words: readonly string[], more: Readonly<Record<string, string>> = {}) {
    const allEnv = { PATH: process.env['PATH'] ?? '', ...env, ...more }
    const running = watch(spawn(program, words, { cwd: folder, env: allEnv, stdio: ['ignore', 'pipe', 'pipe'] }))
    processes.add(running)
    running.ended.then(() => processes.delete(running)).catch(() => {})
    return running
  }
  const start = (...words: string[]) => startProgram(process.execPath, [HOLDFAST_PROGRAM, ...words])

  return {
    folder,
    path: (name) => join(folder, name),
    write: (name, text) => writeFileSync(join(folder, name), text),
    read: (name) => readFileSync(join(folder, name), 'utf8'),
    start,
    holdfast: (...words) => start(...words).ended,
    spawn: startProgram,
    async [Symbol.asyncDispose]() {
      killAll()
      await Promise.all([...processes].map(({ ended }) => ended))
      process.off('exit', killAll)
      // Whoever was killed a moment ago may still be leaving files there.
      rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
    },
  }
}

function watch(child: ChildProcess): RunningProcess {
  const said = { stdout: '', stderr: '' }
  const waiting = new Set<() => void>()
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (piece: string) => {
      said[name] += piece
      for (const look of waiting) look()
    })
  }
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, ...said }))
  })

  async function says(text: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const look = () => {
      if (said.stdout.includes(text) || said.stderr.includes(text)) resolve()
    }
    waiting.add(look)
    look()
    const silence = ended.then(({ code, stdout, stderr }) => {
      if (stdout.includes(text) || stderr.includes(text)) return
      throw new Error(`The process ended (${code}) without saying "${text}"; it said:\n${stdout}\n${stderr}`)
    })
    await Promise.race([promise, silence]).finally(() => waiting.delete(look))
  }

  return { child, ended, stdout: () => said.stdout, stderr: () => said.stderr, says }
}

/** What a command printed as JSON on stdout; fails with all it said where that is no JSON. */
export function jsonOf<Shape>(ended: Ended): Shape {
  try {
    return JSON.parse(ended.stdout) as Shape
  } catch (cause) {
    const all = `code ${ended.code}\nstdout: ${ended.stdout}\nstderr: ${ended.stderr}`
    throw new Error(`That is no JSON:\n${all}`, { cause })
  }
}
