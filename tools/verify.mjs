// `npm test`: format and lint, types, then every test. Stops at the first part that fails.
import { spawnSync } from 'node:child_process'

const parts = [
  ['lint and format', 'biome', ['check', '.']],
  ['types', 'tsc', ['--noEmit', '-p', 'tsconfig.json']],
  ['tests', 'vitest', ['run', ...process.argv.slice(2)]],
]

for (const [name, command, commandArguments] of parts) {
  console.log(`\n== ${name}`)
  const result = spawnSync(command, commandArguments, { stdio: 'inherit' })
  if (result.status !== 0) {
    console.error(`\nholdfast: ${name} failed (${command} ${commandArguments.join(' ')})`)
    process.exit(result.status ?? 1)
  }
}
