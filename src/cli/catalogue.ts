/**
 * All commands, with what the overview says about them. Their files are loaded only when they are run: `holdfast --help` must
 * be there at once.
 */
import type { Command } from 'commander'
import type { Registrar } from './registrar.ts'

export interface CommandModule {
  /** Adds description, arguments, options, examples and action. */
  define(command: Command, registrar: Registrar): void
}

export interface CatalogueEntry {
  readonly name: string
  /** As it stands in the overview. */
  readonly term: string
  readonly summary: string
  readonly group: string
  load(): Promise<CommandModule>
}

const START = 'Start:'
const WORK = 'Work:'
const SEE = 'See what happened:'
const REPAIR = 'Put it right:'
const KEEP = 'Keep it running:'

export const CATALOGUE: readonly CatalogueEntry[] = [
  entry(
    'demo',
    'demo',
    'see it work: records through failing APIs, none lost, none done twice',
    START,
    () => import('./commands/demo.ts'),
  ),
  entry('init', 'init', 'make a configuration to start from', START, () => import('./commands/init.ts')),
  entry(
    'twin',
    'twin [vendor|file]',
    'run a failing imitation of an API (hubspot, stripe, ...), to test against',
    START,
    () => import('./commands/twin.ts'),
  ),
  entry(
    'run',
    'run <pipeline>',
    'send the records of a file through a pipeline; safe to run again',
    WORK,
    () => import('./commands/run.ts'),
  ),
  entry(
    'serve',
    'serve',
    'the gateway: requests in over HTTP, and operations; works on what is due',
    WORK,
    () => import('./commands/serve.ts'),
  ),
  entry('token', 'token', 'make a token for the gateway', KEEP, () => import('./commands/token.ts')),
  entry('worker', 'worker', 'work on what is due until stopped', WORK, () => import('./commands/worker.ts')),
  entry('status', 'status', 'the balance, and what is not well', SEE, () => import('./commands/status.ts')),
  entry('items', 'items', 'list items', SEE, () => import('./commands/items.ts')),
  entry('item', 'item <id>', 'everything about one item', SEE, () => import('./commands/item.ts')),
  entry(
    'explain',
    'explain <id>',
    'what happened to one item, why, and what comes next',
    SEE,
    () => import('./commands/explain.ts'),
  ),
  entry('audit', 'audit', 'prove that the books balance', SEE, () => import('./commands/audit.ts')),
  entry(
    'dlq',
    'dlq',
    'dead letters: list, groups, show, replay, discard, resolve, export',
    REPAIR,
    () => import('./commands/dlq.ts'),
  ),
  entry(
    'jobs',
    'jobs',
    'bulk replays and how far they are: show, watch, cancel',
    REPAIR,
    () => import('./commands/jobs.ts'),
  ),
  entry(
    'integrations',
    'integrations',
    'the APIs and how they are: suspend, resume',
    REPAIR,
    () => import('./commands/integrations.ts'),
  ),
  entry(
    'profiles',
    'profiles',
    'what is known about vendors: decision tables, and which rule decides an answer',
    SEE,
    () => import('./commands/profiles.ts'),
  ),
  entry(
    'credentials',
    'credentials',
    'how the credentials are: show, set, refresh, rotate-key',
    REPAIR,
    () => import('./commands/credentials.ts'),
  ),
  entry('keys', 'keys', 'with which keys the store is encrypted: rotate', KEEP, () => import('./commands/keys.ts')),
  entry(
    'erase',
    'erase [runs...]',
    'erase what is held of one person, for good',
    KEEP,
    () => import('./commands/erase.ts'),
  ),
  entry(
    'callbacks',
    'callbacks',
    'addresses of callbacks that are gone: enable',
    REPAIR,
    () => import('./commands/callbacks.ts'),
  ),
  entry('breakers', 'breakers', 'circuit breakers: reset', REPAIR, () => import('./commands/breakers.ts')),
  entry('doctor', 'doctor', 'check this installation', KEEP, () => import('./commands/doctor.ts')),
  entry(
    'migrate',
    'migrate',
    'bring the store up to date, or move it to a server',
    KEEP,
    () => import('./commands/migrate.ts'),
  ),
]

function entry(
  name: string,
  term: string,
  summary: string,
  group: string,
  load: () => Promise<CommandModule>,
): CatalogueEntry {
  return { name, term, summary, group, load }
}
