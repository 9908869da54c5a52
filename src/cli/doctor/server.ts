/** What a PostgreSQL server is like, judged: pure, one finding per check, each with what to do. */
import { formatDuration } from '../../core/duration.ts'
import { OLDEST_SERVER, type ServerFacts, type ServerSettings } from '../../ledger/postgres/index.ts'
import { formatCount } from '../output/time.ts'
import { attention, broken, type Finding, failed, movingOn, ok } from './finding.ts'

/** Every claim and every settlement waits for it. */
const FAR_MS = 10
/** Processes go by the server's clock; people compare its times with those of their machines. */
const CLOCK_APART_MS = 2000
/** Longer than Holdfast's own transactions, audits of large stores apart; vacuum cannot clean behind it. */
const OLD_TRANSACTION_MS = 300_000
/** Workers wait for each other for milliseconds. */
const LONG_WAIT_MS = 2000
const MANY_DEAD_ROWS = 20_000
const LARGE_DEAD_SHARE = 0.2
const MEBIBYTE = 1_048_576

export function judgeServer(facts: ServerFacts): Finding[] {
  return [
    judgeVersion(facts),
    judgePrimary(facts),
    judgeSchema(facts),
    judgeDurability(facts.server),
    judgeCommit(facts.server),
    judgeConnections(facts),
    judgeAutovacuum(facts.server),
    judgeClock(facts),
    judgeTransactions(facts),
    judgeLocks(facts),
    ...judgeContents(facts),
  ]
}

/** Whether the ledger can be opened on it as it is, without changing its schema. */
export function canBeOpened({ server, contents }: ServerFacts): boolean {
  return server.version_number >= OLDEST_SERVER && !server.is_replica && typeof contents === 'object'
}

function judgeVersion({ server, roundTripMs }: ServerFacts): Finding {
  const what = `PostgreSQL ${server.version}, ${roundTripMs.toFixed(1)} ms away`
  if (server.version_number < OLDEST_SERVER)
    return broken('server', what, 'Upgrade it: Holdfast needs PostgreSQL 14 or newer.')
  if (roundTripMs <= FAR_MS) return ok('server', what)
  return attention(
    'server',
    what,
    'Run workers near the server: each claim and each settlement waits for the way there.',
  )
}

function judgePrimary({ server }: ServerFacts): Finding {
  if (!server.is_replica) return ok('primary', 'it takes writes')
  return broken(
    'primary',
    'it is a replica and takes no writes',
    'Use the address of the primary; with several hosts in one address, add target_session_attrs=read-write.',
  )
}

function judgeSchema({ schemaState, schema }: ServerFacts): Finding {
  if ('refused' in schemaState) return failed('schema', schemaState.refused)
  const { pending } = schemaState
  if (pending.length === 0) return ok('schema', `${schema} is up to date`)
  const what = `${schema} lacks ${formatCount(pending.length)} migration(s): ${pending.join(', ')}`
  return attention('schema', what, 'holdfast migrate')
}

function judgeDurability({ fsync, full_page_writes: pages }: ServerSettings): Finding {
  const change = (setting: string) => `ALTER SYSTEM SET ${setting} = on; SELECT pg_reload_conf();`
  if (!fsync) {
    return broken('durability', 'fsync is off: a power failure can lose or destroy everything', change('fsync'))
  }
  if (!pages) {
    const what = 'full_page_writes is off: right only where the file system never writes half a page (ZFS)'
    return attention('durability', what, change('full_page_writes'))
  }
  return ok('durability', 'fsync and full_page_writes are on')
}

function judgeCommit({ synchronous_commit: setting, role }: ServerSettings): Finding {
  if (setting !== 'off' && setting !== 'local') return ok('commit', `synchronous_commit is ${setting}`)
  const what = `synchronous_commit is ${setting} for ${role}: Holdfast waits for the disk all the same, but your own transactions that submit joins do not`
  return attention('commit', what, `ALTER ROLE ${identifier(role)} SET synchronous_commit = on;`)
}

function judgeConnections({ server, poolSize }: ServerFacts): Finding {
  const most = server.max_connections - server.reserved_connections
  const free = Math.max(0, most - server.used_connections)
  const what = `${server.used_connections} of ${most} connections are in use; each process of Holdfast takes up to ${poolSize}`
  if (free >= poolSize) return ok('connections', what)
  return attention('connections', what, 'Raise max_connections (needs a restart), close what is idle, or use a pooler.')
}

function judgeAutovacuum({ autovacuum, track_counts: counts }: ServerSettings): Finding {
  if (autovacuum && counts) return ok('autovacuum', 'it is on')
  const off = autovacuum ? 'track_counts' : 'autovacuum'
  const what = `${off} is off: what is done is never cleaned up, and every claim becomes slower`
  return attention('autovacuum', what, `ALTER SYSTEM SET ${off} = on; SELECT pg_reload_conf();`)
}

function judgeClock({ clockAheadMs }: ServerFacts): Finding {
  const apartMs = Math.abs(clockAheadMs)
  const what =
    apartMs < 1000
      ? 'this machine and the server agree to within a second'
      : `the server is ${formatDuration(Math.round(apartMs))} ${clockAheadMs > 0 ? 'ahead of' : 'behind'} this machine`
  if (apartMs < CLOCK_APART_MS) return ok('clock', what)
  return attention(
    'clock',
    `${what}; Holdfast goes by the server's clock`,
    'Synchronise both clocks (NTP), so that times in logs and in the ledger mean the same.',
  )
}

function judgeTransactions({ openTransactions, server }: ServerFacts): Finding {
  const old = openTransactions.filter(({ age_ms: ageMs }) => ageMs >= OLD_TRANSACTION_MS)
  const [oldest] = old
  if (oldest) {
    const who = oldest.application || 'an unnamed program'
    const what = `${old.length} open for long; the oldest, of ${who}, for ${age(oldest.age_ms)} (${oldest.state}): nothing newer can be cleaned up`
    return attention('transactions', what, `End it: SELECT pg_terminate_backend(${oldest.process_id});`)
  }
  if (server.idle_in_transaction_ms > 0) {
    const limit = formatDuration(server.idle_in_transaction_ms)
    return ok('transactions', `none is open for long; idle ones are ended after ${limit}`)
  }
  return ok(
    'transactions',
    'none is open for long; idle ones are never ended, those of Holdfast apart',
    `Where other programs use this database: ALTER ROLE theirs SET idle_in_transaction_session_timeout = '10min';`,
  )
}

function judgeLocks({ lockWaits }: ServerFacts): Finding {
  const long = lockWaits.filter(({ waited_ms: waitedMs }) => waitedMs >= LONG_WAIT_MS)
  const [longest] = long
  if (!longest) return ok('locks', 'nothing waits for long')
  const blockers = [...new Set(long.flatMap((wait) => wait.blocked_by))]
  const what = `${long.length} wait, the longest for ${age(longest.waited_ms)}, for locks of process ${blockers.join(', ')}`
  const hint = `Look what it does: SELECT query FROM pg_stat_activity WHERE pid = ${blockers[0]}; end it with pg_terminate_backend.`
  return attention('locks', what, hint)
}

function judgeContents({ contents, schema }: ServerFacts): Finding[] {
  if (contents === 'unknown') return []
  if (contents === 'locked') {
    return [attention('tables', 'they are locked: nothing can be read or worked on', 'See the locks above.')]
  }
  const { bytes, tables, history, move } = contents
  const size = `${formatCount(Math.ceil(bytes / MEBIBYTE))} MiB`
  return [
    judgeTables(tables, schema, size),
    judgeHistory(history, schema),
    ...(move.what === 'moving' ? [movingOn(`${move.source} is being moved here`)] : []),
  ]
}

type Contents = Exclude<ServerFacts['contents'], string>

function judgeTables(tables: Contents['tables'], schema: string, size: string): Finding {
  const bloated = tables.filter(
    (table) => table.dead_rows > Math.max(MANY_DEAD_ROWS, table.live_rows * LARGE_DEAD_SHARE),
  )
  const [worst] = bloated
  if (!worst) {
    const dead = tables.reduce((sum, table) => sum + table.dead_rows, 0)
    return ok('tables', `${size}, ${formatCount(dead)} dead rows wait to be cleaned up`)
  }
  const cleaned = worst.vacuumed_ago_ms === null ? 'never cleaned up' : `cleaned up ${age(worst.vacuumed_ago_ms)} ago`
  const what = `${size}; ${worst.name} has ${formatCount(worst.dead_rows)} dead rows beside ${formatCount(worst.live_rows)} live ones, ${cleaned}`
  return attention(
    'tables',
    what,
    `VACUUM (ANALYZE) ${schema}.${identifier(worst.name)}; and end transactions that are open for long.`,
  )
}

function judgeHistory(
  { partitions, rest_rows: rest, newest_run: newest, covered_below: below }: Contents['history'],
  schema: string,
): Finding {
  if (newest >= below) {
    const what = 'the newest runs have no partition of their own, so their history will not be dropped whole'
    return attention(
      'history',
      what,
      `The next worker makes it; its user must be the owner of the tables of ${schema}.`,
    )
  }
  const what = `${formatCount(partitions)} partition(s)`
  if (rest === 0) return ok('history', what)
  return ok('history', `${what}; ${formatCount(rest)} rows came before theirs, and stay when it is dropped`)
}

function age(durationMs: number): string {
  return formatDuration(Math.max(1000, Math.round(durationMs / 1000) * 1000))
}

function identifier(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`
}
