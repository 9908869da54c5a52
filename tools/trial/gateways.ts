/** `holdfast serve`, several times on one store, each replaced when it is killed. */
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { HOLDFAST_PROGRAM } from '../../test/support/workshop.ts'
import { fillPlaces, type Places } from './places.ts'

export interface GatewaysParts {
  readonly count: number
  /** Where the configuration lies, and whatever they leave. */
  readonly folder: string
  readonly store: string
  /** Of the API behind the integration `twin`. */
  readonly twinUrl: string
  readonly compileCacheFolder: string
  readonly changed: () => void
  readonly broken: (error: Error) => void
}

export interface Gateways extends Places {
  /** Of those that listen now. */
  urls(): string[]
}

export const WEBHOOK_SECRET = 'a secret of the trial'

export function startGateways({ folder, store, twinUrl, compileCacheFolder, ...parts }: GatewaysParts): Gateways {
  writeFileSync(join(folder, 'holdfast.json'), JSON.stringify(configOf(store, twinUrl)))
  const urls = new Map<number, string>()
  const places = fillPlaces({
    ...parts,
    start(index, ready) {
      urls.delete(index)
      const child = spawn(process.execPath, [HOLDFAST_PROGRAM, 'serve', '--port', '0'], {
        cwd: folder,
        env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: compileCacheFolder },
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      let said = ''
      child.stderr.setEncoding('utf8').on('data', (words: string) => {
        if (urls.has(index)) return
        said += words
        const url = /listens on (http:\/\/[\d.:]+)/.exec(said)?.[1]
        if (url === undefined) return
        urls.set(index, url)
        ready()
      })
      child.once('exit', () => urls.delete(index))
      return child
    },
  })
  return { ...places, urls: () => [...urls.values()] }
}

/** Quick, and never so impatient that an item is given up: what is lost here must be our fault. */
function configOf(store: string, baseUrl: string) {
  const put = { integration: 'twin', request: { method: 'PUT', path: '/things', body: '{{ input }}' } }
  return {
    store,
    integrations: {
      twin: {
        baseUrl,
        retry: { base: '50ms', cap: '1s', maxAttempts: 100 },
        breaker: { consecutiveFailures: 1000, failureRate: 1 },
        limits: { concurrency: 1000 },
      },
    },
    pipelines: { arrive: { steps: { put } } },
    webhooks: { github: { provider: 'github', secret: WEBHOOK_SECRET, pipeline: 'arrive' } },
    worker: { lease: '2s', poll: '200ms' },
  }
}
