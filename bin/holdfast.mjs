#!/usr/bin/env node
// Plain JavaScript that also parses on old Node versions, so that they end in one clear line and not in a stack trace.
import { existsSync } from 'node:fs'

const [major, minor] = process.versions.node.split('.').map(Number)

if (major < 22 || (major === 22 && minor < 19)) {
  console.error(
    `holdfast needs Node 22.19 or newer; this is ${process.version}. Install one from nodejs.org, or with your version manager.`,
  )
  process.exit(1)
}

// In a checkout the source runs as it is (Node strips the types); the published package has only dist/.
const source = new URL('../src/cli/main.ts', import.meta.url)
const built = new URL('../dist/cli/main.js', import.meta.url)

import(existsSync(source) ? source.href : built.href).then(
  ({ main }) => main(),
  (error) => {
    console.error(`holdfast could not start: ${error instanceof Error ? error.stack : error}`)
    process.exitCode = 1
  },
)
