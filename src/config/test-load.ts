/** Loads what a test wrote, and tells what was wrong with it. For the tests of this room only. */
import { expect } from 'vitest'
import { isHoldfastError } from '../core/errors.ts'
import type { LoadedConfig } from './loaded.ts'
import { resolveConfig } from './resolve.ts'

export const crm = { baseUrl: 'https://api.example.com/' }

export function load(input: unknown, env: Record<string, string> = {}): LoadedConfig {
  return resolveConfig(input, { env, baseDirectory: '/work/app' })
}

/** The shape of what `definePipeline` gives: the engine is above this room. */
export function codePipeline(name: string) {
  return { name, inputSchema: undefined, steps: new Map([['work', { run: () => 1 }]]) }
}

/** `path: message` of every problem. */
export function problemsIn(input: unknown, env: Record<string, string> = {}): string[] {
  try {
    load(input, env)
  } catch (error) {
    if (!isHoldfastError(error) || error.code !== 'invalid_config') throw error
    const problems = error.details['problems'] as { path: string; message: string }[]
    for (const { path } of problems) expect(error.message).toContain(path)
    return problems.map(({ path, message }) => `${path}: ${message}`)
  }
  return []
}

export function integrationOf(config: LoadedConfig) {
  const [integration] = config.integrations
  if (!integration) throw new Error('no integration')
  return integration
}
