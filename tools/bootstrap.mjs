// Runs a command with the Node that the project brings along, installing dependencies first when they are missing or
// older than the lockfile. Plain JavaScript that also parses on old Node versions: this file runs before anything else.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const bin = join(root, 'node_modules', '.bin')
const installedMarker = join(root, 'node_modules', '.package-lock.json')
const lockfile = join(root, 'package-lock.json')

function installed() {
  return existsSync(installedMarker) && statSync(installedMarker).mtimeMs >= statSync(lockfile).mtimeMs
}

if (!installed()) {
  console.error('holdfast: installing dependencies (npm ci), once ...')
  const npm = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  })
  if (npm.status !== 0) {
    console.error('holdfast: npm ci failed; its messages are above. Fix the cause and run the same command again.')
    process.exit(1)
  }
}

const command = process.argv[2]
const child = spawn(command, process.argv.slice(3), {
  stdio: 'inherit',
  env: Object.assign({}, process.env, { PATH: bin + delimiter + process.env.PATH }),
})
// A terminal sends Ctrl-C to the whole group; the child decides how to end, we only report its end.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => child.kill('SIGTERM'))
child.on('error', (error) => {
  console.error(`holdfast: could not start "${command}": ${error.message}`)
  process.exit(1)
})
child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)))
