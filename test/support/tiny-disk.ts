/** A disk of a few mebibytes, for as long as a script runs: a mount that only this script sees, gone when it ends. */
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import type { RunningProcess, Workshop } from './workshop.ts'

const OWN_MOUNTS = ['--map-root-user', '--mount']
/** Programs such as PostgreSQL refuse to be run by root, also by one who is root only here. */
const AS_NOBODY = ['--user', '--map-user=65534', '--map-group=65534']

/** False where the system gives nobody a mount of their own: not on Linux, or forbidden in a container. */
export function canMount(): boolean {
  const mount = 'mount -t tmpfs -o size=1m tmpfs /mnt'
  return spawnSync('unshare', [...OWN_MOUNTS, 'sh', '-c', mount], { stdio: 'ignore' }).status === 0
}

/** The same, with a program on it that root may not run. */
export function canMountForOthers(): boolean {
  const script = `mount -t tmpfs -o size=1m tmpfs /mnt && ${asNobody('true')}`
  return spawnSync('unshare', [...OWN_MOUNTS, 'sh', '-c', script], { stdio: 'ignore' }).status === 0
}

/** The command, as a user who is nobody, and who owns the disk. */
export function asNobody(command: string): string {
  return ['exec', 'unshare', ...AS_NOBODY, command].join(' ')
}

/** Runs shell commands in `disk`, a folder of the workshop; `node` is the one that runs the tests. */
export function onTinyDisk(workshop: Workshop, size: string, commands: readonly string[]): RunningProcess {
  mkdirSync(workshop.path('disk'), { recursive: true })
  const script = [`mount -t tmpfs -o size=${size} tmpfs disk`, 'cd disk', ...commands].join('\n')
  const path = `${dirname(process.execPath)}:${process.env['PATH']}`
  return workshop.spawn('unshare', [...OWN_MOUNTS, 'sh', '-c', script], { PATH: path })
}
