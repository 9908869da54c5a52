/** What the figures were taken on: without it they say nothing. */
import { closeSync, fdatasyncSync, openSync, readFileSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { spreadOf } from './summary.ts'

export interface Machine {
  readonly processor: string
  readonly cores: number
  readonly memoryGiB: number
  readonly system: string
  readonly versions: Readonly<Record<string, string>>
  /** One durable write of 4 KiB over an existing file: the floor under every commit. */
  readonly durableWriteMicroseconds: number
}

const PEERS = ['undici', 'cockatiel', 'opossum', 'plainjob', 'pg', 'pg-boss', 'graphile-worker'] as const
const TMPFS_MAGIC = 0x01021994

export function describeMachine(folder: string): Machine {
  const processors = cpus()
  return {
    processor: processors[0]?.model ?? 'unknown',
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${release()}`,
    versions: {
      node: process.versions.node,
      sqlite: process.versions.sqlite ?? 'unknown',
      ...Object.fromEntries(PEERS.map((name) => [name, installedVersion(name)])),
    },
    durableWriteMicroseconds: durableWriteMicroseconds(folder),
  }
}

/** Nothing in memory is durable: there, the ledger's figures would be fiction. */
export function isInMemory(folder: string): boolean {
  return statfsSync(folder).type === TMPFS_MAGIC
}

function installedVersion(name: string): string {
  const manifest = new URL(`../../node_modules/${name}/package.json`, import.meta.url)
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version
}

function durableWriteMicroseconds(folder: string): number {
  const path = join(folder, 'durable-write')
  const file = openSync(path, 'w')
  const block = Buffer.alloc(4096, 1)
  const samples = Array.from({ length: 200 }, () => {
    const startedMs = performance.now()
    writeSync(file, block, 0, block.length, 0)
    fdatasyncSync(file)
    return (performance.now() - startedMs) * 1000
  })
  closeSync(file)
  rmSync(path)
  return Math.round(spreadOf(samples).median)
}
