/** From what was written to what Holdfast works on. Reports everything that is wrong at once. */
import { isAbsolute, resolve as resolvePath } from 'node:path'
import { durationMs } from '../core/duration.ts'
import { isKept, KEY_VARIABLE, keyTexts } from './auth.ts'
import { callbackSettings } from './callbacks.ts'
import type { ConfigInput } from './define.ts'
import { integrationSettings } from './integration.ts'
import type { ConfiguredPipeline, LoadedConfig, Setup, StoreSettings } from './loaded.ts'
import { buildPipelines } from './pipelines.ts'
import { type Environment, toPlainConfig } from './plain.ts'
import { configError, type Path, type Position, type Problem } from './problems.ts'
import type { Profile } from './profile.ts'
import { parseSize } from './quantities.ts'
import { configSchema, type WrittenConfig } from './schema.ts'
import { gatewaySettings } from './schema-gateway.ts'
import { problemsOf } from './schema-problems.ts'
import type { IntegrationSettings } from './settings.ts'
import { webhookSettings } from './webhooks.ts'

export interface ResolveOptions {
  /** Where `${NAME}` is looked up. Nothing here reads the process's own environment. */
  readonly env: Environment
  /** What a relative store path is relative to. */
  readonly baseDirectory: string
  readonly file?: string
  /** Where a path stands in the file, for messages. */
  readonly locate?: (path: Path) => Position | undefined
  /** Replaces the written store. */
  readonly store?: string
  /** Those that come with Holdfast; profiles of the configuration are found before them. Default none. */
  readonly profiles?: readonly Profile[]
  /**
   * `allow`: credentials (`auth`, `headers`) may refer to variables that are not set, and then hold no usable value: for
   * looking at the ledger, never for sending. Default `refuse`.
   */
  readonly missingCredentials?: 'allow' | 'refuse'
}

/**
 * Checks a configuration and fills in every default.
 * @throws HoldfastError `invalid_config` with everything that is wrong: `details.problems` holds path, message, line.
 */
export function resolveConfig(input: ConfigInput | unknown, options: ResolveOptions): LoadedConfig {
  const source = options.file ?? 'The configuration'
  const problems: Problem[] = []
  const { data, codePipelines, setup } = takeCodeOut(input, problems)
  const written = checkedConfig(options.store === undefined ? data : withStore(data, options.store), options, problems)
  if (!written) throw configError(source, problems, options.locate)

  const profiles = [...(written.profiles ?? []), ...(options.profiles ?? [])]
  const integrations = Object.entries(written.integrations ?? {}).map(([name, integration]) =>
    integrationSettings(name, integration, problems, profiles),
  )
  const keys = keyTexts(written.keys, options.env, options.baseDirectory)
  if (keys.length === 0 && options.missingCredentials !== 'allow') problems.push(...withoutKey(integrations, written))
  const names = new Set(integrations.map(({ name }) => name))
  const declarative = buildPipelines(written.pipelines ?? {}, names, problems)
  const pipelines = [...declarative, ...codePipelines]
  const maxPayloadBytes = parseSize(written.maxPayload ?? '4MiB')
  const webhooks = webhookSettings(written.webhooks ?? {}, pipelines, maxPayloadBytes, problems)
  const callbacks = callbackSettings(written.callbacks, problems)
  if (problems.length > 0) throw configError(source, problems, options.locate)
  return {
    file: options.file,
    store: storeSettings(written.store ?? 'sqlite:./holdfast.db', options.baseDirectory),
    integrations,
    profiles,
    pipelines,
    webhooks,
    callbacks,
    worker: {
      concurrency: written.worker?.concurrency ?? 100,
      leaseMs: durationMs(written.worker?.lease ?? '30s'),
      pollMs: durationMs(written.worker?.poll ?? '250ms'),
    },
    retentionMs: written.retention === undefined ? undefined : durationMs(written.retention),
    maxPayloadBytes,
    keys,
    encryptPayloads: written.encryptPayloads ?? false,
    gateway: gatewaySettings(written.gateway),
    setup,
  }
}

function withoutKey(integrations: readonly IntegrationSettings[], { encryptPayloads }: WrittenConfig): Problem[] {
  const kept = integrations.filter(({ auth }) => isKept(auth))
  const paths: Path[] = kept.map(({ name }) => ['integrations', name, 'auth'])
  if (encryptPayloads) paths.push(['encryptPayloads'])
  return paths.map((path) => ({
    path,
    message: `what is kept of it is encrypted, and there is no key: set ${KEY_VARIABLE} (\`openssl rand -base64 32\` makes one), or \`keys\``,
  }))
}

function checkedConfig(data: unknown, options: ResolveOptions, problems: Problem[]): WrittenConfig | undefined {
  const mayBeMissing = (path: Path) => options.missingCredentials === 'allow' && isCredential(path)
  const plain = toPlainConfig(data, options.env, mayBeMissing, isSigner)
  problems.push(...plain.problems)
  const parsed = configSchema.safeParse(plain.value)
  if (!parsed.success) problems.push(...problemsOf(parsed.error, data, problems))
  return parsed.success && problems.length === 0 ? parsed.data : undefined
}

function isCredential(path: Path): boolean {
  if (path[0] === 'webhooks') return path[2] === 'secret'
  if (path[0] === 'callbacks') return path[1] === 'secret'
  return path.includes('auth') || path.includes('headers') || path[0] === 'keys'
}

/** The one function that stands inside of a configuration: `integrations.NAME.auth.sign`. */
function isSigner([section, , place, key]: Path): boolean {
  return section === 'integrations' && place === 'auth' && key === 'sign'
}

interface Taken {
  readonly data: unknown
  readonly codePipelines: readonly ConfiguredPipeline[]
  readonly setup: Setup | undefined
}

/** Lists and code are for configurations in TypeScript only: what remains is the same data that YAML can hold. */
function takeCodeOut(input: unknown, problems: Problem[]): Taken {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    return { data: input, codePipelines: [], setup: undefined }
  }
  const { setup, ...data } = input as Record<string, unknown>
  if (setup !== undefined && typeof setup !== 'function') {
    problems.push({ path: ['setup'], message: 'expected a function; only configurations in code can have one' })
  }
  let codePipelines: readonly ConfiguredPipeline[] = []
  if (Array.isArray(data['pipelines'])) {
    codePipelines = checkedCodePipelines(data['pipelines'], problems)
    delete data['pipelines']
  }
  if (Array.isArray(data['integrations'])) data['integrations'] = byName(data['integrations'], problems)
  return { data, codePipelines, setup: typeof setup === 'function' ? (setup as Setup) : undefined }
}

function checkedCodePipelines(list: readonly unknown[], problems: Problem[]): ConfiguredPipeline[] {
  const known = new Set<string>()
  for (const [index, pipeline] of list.entries()) {
    const path = ['pipelines', index]
    if (!isCodePipeline(pipeline)) {
      problems.push({ path, message: 'expected a pipeline made with definePipeline(...)' })
    } else if (known.has(pipeline.name)) {
      problems.push({ path, message: `there are two pipelines named "${pipeline.name}"` })
    } else {
      known.add(pipeline.name)
    }
  }
  return list as ConfiguredPipeline[]
}

function isCodePipeline(value: unknown): value is ConfiguredPipeline {
  if (typeof value !== 'object' || value === null) return false
  const { name, steps } = value as { name?: unknown; steps?: unknown }
  return typeof name === 'string' && steps instanceof Map
}

function byName(list: readonly unknown[], problems: Problem[]): Record<string, unknown> {
  const named = new Map<string, unknown>()
  for (const [index, element] of list.entries()) {
    const path = ['integrations', index]
    const { name, ...integration } = (typeof element === 'object' && element !== null ? element : {}) as {
      name?: unknown
    }
    if (typeof name !== 'string') {
      problems.push({ path, message: 'expected an integration made with defineIntegration(name, ...)' })
    } else if (named.has(name)) {
      problems.push({ path, message: `there are two integrations named "${name}"` })
    } else {
      named.set(name, integration)
    }
  }
  return Object.fromEntries(named)
}

function withStore(data: unknown, store: string): unknown {
  return typeof data === 'object' && data !== null ? { ...data, store } : data
}

function storeSettings(store: string, directory: string): StoreSettings {
  if (!store.startsWith('sqlite:')) return { kind: 'postgres', url: store }
  const path = store.slice('sqlite:'.length)
  if (path === ':memory:' || isAbsolute(path)) return { kind: 'sqlite', path }
  return { kind: 'sqlite', path: resolvePath(directory, path) }
}
