/** Entry of a child process: one measurement of one contender, so that no contender inherits another's heap or JIT. */
import { findCase } from '../cases/all.ts'
import type { RunOptions } from './bench-case.ts'

async function main(): Promise<void> {
  const [caseName, contenderName, options] = process.argv.slice(2) as [string, string, string]
  const contender = findCase(caseName)?.contenders.find(({ name }) => name === contenderName)
  if (!contender) throw new Error(`There is no contender "${contenderName}" in the case "${caseName}"`)
  const measured = await contender.run(JSON.parse(options) as RunOptions)
  await new Promise<void>((resolve) => process.send?.(measured, () => resolve()))
}

main().then(
  () => process.exit(),
  (error: unknown) => {
    console.error(error)
    process.exit(1)
  },
)
