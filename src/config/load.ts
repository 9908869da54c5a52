/** Finds and reads the configuration file. The only place of this room that touches the disk. */
import { existsSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { dirname, extname, join, resolve as resolvePath } from 'node:path'
import { pathToFileURL } from 'node:url'
import { configurationError, messageOf } from '../core/errors.ts'
import type { LoadedConfig } from './loaded.ts'
import { parseConfigText, positionFinder } from './parse.ts'
import type { Environment } from './plain.ts'
import type { Profile } from './profile.ts'
import { resolveConfig } from './resolve.ts'

/** In this order, in each folder from the working directory upward. */
export const CONFIG_FILE_NAMES = [
  'holdfast.config.ts',
  'holdfast.config.mts',
  'holdfast.config.mjs',
  'holdfast.config.js',
  'holdfast.yaml',
  'holdfast.yml',
  'holdfast.json',
] as const

const CODE_EXTENSIONS = new Set(['.ts', '.mts', '.mjs', '.js'])
/** A larger file is the wrong file. */
const MAXIMUM_FILE_BYTES = 2 * 1024 * 1024

export interface LoadOptions {
  /** Given: this file and no other. */
  readonly file?: string
  /** Where the search begins, and what relative names are relative to. */
  readonly directory: string
  /** Where `${NAME}` is looked up. `.env` files are not read: `node --env-file` does that. */
  readonly env: Environment
  /** Replaces the written store; relative to `directory`. */
  readonly store?: string
  /** See `ResolveOptions`. */
  readonly missingCredentials?: 'allow' | 'refuse'
  /** See `ResolveOptions`. */
  readonly profiles?: readonly Profile[]
}

/**
 * Loads, checks and resolves the configuration.
 * @throws HoldfastError `config_not_found`, `config_unreadable`, `config_syntax` (with line and column), `config_code_failed`,
 *   `invalid_config`.
 */
export async function loadConfig(options: LoadOptions): Promise<LoadedConfig> {
  const file = options.file === undefined ? findConfigFile(options.directory) : givenFile(options)
  const common = {
    file,
    baseDirectory: dirname(file),
    env: options.env,
    ...(options.profiles && { profiles: options.profiles }),
    ...(options.missingCredentials && { missingCredentials: options.missingCredentials }),
    ...(options.store !== undefined && { store: absoluteStore(options.store, options.directory) }),
  }
  if (CODE_EXTENSIONS.has(extname(file))) return resolveConfig(await importConfig(file), common)
  const text = await readText(file)
  const locate = positionFinder(text)
  return resolveConfig(parseConfigText(text, file), { ...common, locate })
}

/** @throws HoldfastError `config_not_found` */
export function findConfigFile(directory: string): string {
  for (let folder = resolvePath(directory); ; folder = dirname(folder)) {
    for (const name of CONFIG_FILE_NAMES) {
      const candidate = join(folder, name)
      if (existsSync(candidate)) return candidate
    }
    if (folder === dirname(folder)) break
  }
  throw configurationError(
    'config_not_found',
    `There is no configuration in ${resolvePath(directory)} or any folder above it`,
    'Run `holdfast init` to make one, or name a file with --config.',
    { directory: resolvePath(directory), names: CONFIG_FILE_NAMES },
  )
}

function givenFile(options: LoadOptions): string {
  const file = resolvePath(options.directory, options.file as string)
  if (existsSync(file)) return file
  throw configurationError(
    'config_not_found',
    `There is no file ${file}`,
    'Check the name given with --config, or run `holdfast init` to make a configuration.',
    { file },
  )
}

/** The command line means its own folder, not that of the file. */
function absoluteStore(store: string, directory: string): string {
  const [scheme, path] = [store.slice(0, 'sqlite:'.length), store.slice('sqlite:'.length)]
  return scheme === 'sqlite:' && path !== '' && path !== ':memory:' ? `sqlite:${resolvePath(directory, path)}` : store
}

async function importConfig(file: string): Promise<unknown> {
  let module: { default?: unknown }
  try {
    module = (await import(pathToFileURL(file).href)) as { default?: unknown }
  } catch (cause) {
    throw configurationError(
      'config_code_failed',
      `${file} could not be run: ${messageOf(cause)}`,
      'Node runs it as it is: types are stripped, so enums and other TypeScript-only code cannot stand in it.',
      { file },
      cause,
    )
  }
  if (module.default !== undefined) return module.default
  throw configurationError(
    'config_code_failed',
    `${file} has no default export`,
    'Write `export default defineConfig({ ... })`.',
    { file },
  )
}

async function readText(file: string): Promise<string> {
  try {
    const { size } = await stat(file)
    if (size > MAXIMUM_FILE_BYTES) {
      throw new Error(`it has ${size} bytes, more than the ${MAXIMUM_FILE_BYTES} a configuration may have`)
    }
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw configurationError(
      'config_unreadable',
      `${file} cannot be read: ${messageOf(cause)}`,
      'Check the name and the permissions of the file.',
      { file },
      cause,
    )
  }
}
