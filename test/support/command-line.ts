/** The command line in this process, on a host of its own: real stores and real time, and no process to start for each command. */
import { expect } from 'vitest'
import type { Host, Screen } from '../../src/cli/host.ts'
import { runCommandLine } from '../../src/cli/main.ts'
import { systemClock } from '../../src/system/system-clock.ts'

/** `json` of what stands on stdout; without `--no-json` that is what comes there. */
export type CommandLine = (
  ...words: string[]
) => Promise<{ code: number; stdout: string; stderr: string; json(): unknown }>

export function commandLine(directory: string, env: Readonly<Record<string, string>> = {}): CommandLine {
  return async (...words) => {
    const written = { stdout: '', stderr: '' }
    const screen = (name: keyof typeof written): Screen => ({
      isTerminal: false,
      width: 10_000,
      write(text) {
        written[name] += text
      },
    })
    const host: Host = {
      stdout: screen('stdout'),
      stderr: screen('stderr'),
      directory,
      env,
      clock: systemClock,
      person: 'cli:ada',
      machine: 'test',
      onInterrupt: () => ({ [Symbol.dispose]: () => undefined }),
      exit: () => expect.fail('it ends by itself'),
    }
    const code = await runCommandLine(words, host)
    return { code, ...written, json: () => JSON.parse(written.stdout) }
  }
}
