/** What becomes of others when items take places in the order of their entities, or change their states. */
import { itemId, parseItemId } from '../../../core/ids.ts'
import type { NewTurn, SupersededItem } from '../../port.ts'
import { isOutdated, outdatedReason, TURN_REASON, waitsReason } from '../../turns.ts'
import { column, prepare, type Session } from '../transactions/connection.ts'
import { runOf } from './claimed.ts'
import type { Dependents, EndedRow, QueuedItem } from './dependents.ts'
import { endOlderText, endOutdatedText } from './supersede.ts'

/** An item that waits for its turn, to be given a place. */
export interface Newcomer {
  readonly tenant: string
  readonly runId: string
  readonly step: string
  readonly turn: NewTurn
  /** Steps of its run that take it along where they are out of date. Default none. */
  readonly above?: ReadonlySet<string>
}

export interface Superseded extends SupersededItem {
  /** The item that brought the newer value, or itself where its own was the older. */
  readonly by: string
}

export interface Followed {
  readonly queued: readonly QueuedItem[]
  readonly superseded: readonly Superseded[]
}

/** To be called inside a transaction. */
export interface Turns {
  /**
   * Gives each the last place of its entity, and its turn where nobody is before it. What is older ends, or the newcomer itself
   * where that is the older one.
   */
  join(session: Session, newcomers: readonly Newcomer[], nowMs: number): Promise<Followed>
  /** Takes away the places of items that are to get others. */
  leave(session: Session, items: readonly PlacedItem[], nowMs: number): Promise<void>
  /** Follows up on changes of state, for those of the same entities and of the same runs. */
  follow(session: Session, changed: readonly EndedRow[], nowMs: number): Promise<Followed>
}

export interface PlacedItem {
  readonly tenant: string
  readonly run: number
  readonly step: string
  readonly entity: number | null
}

interface EntityRow {
  id: number
  tenant: string
  series: string
  name: string
  places: number
  newest: string | null
  newest_place: number | null
  newest_item: string | null
}

export interface SupersededRow extends EndedRow {
  reason: string
  attempts: number
  by: string
}

interface GivenRow {
  run: number
  step: string
  run_id: string
  state: string
  entity: number
}

interface Taken {
  readonly newcomer: Newcomer
  readonly entity: number
  readonly place: number
}

interface Outdated {
  readonly newcomer: Newcomer
  readonly entity: number
  readonly reason: string
}

export function prepareTurns(s: string, dependents: Dependents): Turns {
  // In one order for everybody who locks several of them.
  const enter = prepare<EntityRow>(
    `INSERT INTO ${s}.entities AS e (tenant, series, name, places, updated_at_ms)
     SELECT n.tenant, n.series, n.name, 0, $1::bigint FROM unnest($2::text[], $3::text[], $4::text[]) n (tenant, series, name)
     ORDER BY n.series COLLATE "C", n.name COLLATE "C", n.tenant COLLATE "C"
     ON CONFLICT (series, name, tenant) DO UPDATE SET updated_at_ms = greatest(e.updated_at_ms, excluded.updated_at_ms)
     RETURNING id, tenant, series, name, places, newest, newest_place, newest_item`,
  )
  const lock = prepare(
    `SELECT 1 FROM ${s}.entities WHERE id = ANY($1::bigint[]) ORDER BY series, name, tenant FOR UPDATE`,
  )
  const setEntities = prepare(
    `UPDATE ${s}.entities e SET places = n.places, newest = n.newest, newest_place = n.newest_place, newest_item = n.newest_item
     FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::text[])
       n (id, places, newest, newest_place, newest_item) WHERE e.id = n.id`,
  )
  const take = prepare(
    `WITH n AS MATERIALIZED (
       SELECT u.*, ${runOf(s, 'u')} AS run
       FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[])
         u (tenant, run_id, step, entity, place, rule, reason)),
     placed AS (
       INSERT INTO ${s}.places (tenant, entity, place, run, step, rule, standing)
       SELECT n.tenant, n.entity, n.place, n.run, n.step, n.rule, 'waits' FROM n)
     UPDATE ${s}.items i SET entity = n.entity, reason = n.reason FROM n
     WHERE i.run = n.run AND i.step = n.step AND i.tenant = n.tenant`,
  )
  const endOutdated = prepare<SupersededRow>(endOutdatedText(s))
  const endOlder = prepare<SupersededRow>(endOlderText(s))
  const remove = prepare(
    `DELETE FROM ${s}.places p USING unnest($1::text[], $2::bigint[], $3::text[]) n (tenant, run, step)
     WHERE p.run = n.run AND p.step = n.step AND p.tenant = n.tenant`,
  )
  const leaveOrPass = prepare(
    `WITH n AS MATERIALIZED (
       SELECT i.tenant, i.run, i.step, i.ended_at_ms IS NOT NULL AS has_ended,
         i.state = 'dead_lettered' AND i.due_at_ms IS NULL AS is_left_alone
       FROM unnest($1::text[], $2::bigint[], $3::text[]) u (tenant, run, step)
       JOIN ${s}.items i ON i.run = u.run AND i.step = u.step AND i.tenant = u.tenant),
     gone AS (
       DELETE FROM ${s}.places p USING n
       WHERE n.has_ended AND p.run = n.run AND p.step = n.step AND p.tenant = n.tenant)
     UPDATE ${s}.places p SET standing = 'passed' FROM n
     WHERE n.is_left_alone AND p.rule = 'continue' AND p.run = n.run AND p.step = n.step AND p.tenant = n.tenant`,
  )
  const give = prepare<GivenRow>(
    `WITH next AS MATERIALIZED (
       SELECT f.* FROM unnest($2::bigint[]) n (entity) CROSS JOIN LATERAL (
         SELECT p.tenant, p.entity, p.place, p.run, p.step, p.standing FROM ${s}.places p
         WHERE p.entity = n.entity AND p.standing <> 'passed' ORDER BY p.place LIMIT 1) f
       WHERE f.standing = 'waits'),
     given AS (
       UPDATE ${s}.places p SET standing = 'has_turn' FROM next f
       WHERE p.entity = f.entity AND p.place = f.place AND p.tenant = f.tenant)
     UPDATE ${s}.items i SET unmet = i.unmet - 1, updated_at_ms = $1::bigint,
       state = CASE WHEN i.unmet = 1 THEN 'queued' ELSE i.state END,
       due_at_ms = CASE WHEN i.unmet = 1 THEN greatest($1::bigint, coalesce(i.not_before_ms, 0)) END,
       reason = CASE WHEN i.unmet = 1 THEN '${TURN_REASON}' END
     FROM next f JOIN ${s}.runs r ON r.no = f.run AND r.tenant = f.tenant
     WHERE i.run = f.run AND i.step = f.step AND i.tenant = f.tenant AND i.state = 'waiting'
     RETURNING i.run, i.step, i.state, r.id AS run_id, f.entity`,
  )
  const insertOperations = prepare(
    `INSERT INTO ${s}.operations (at_ms, tenant, run, step, what, by, note)
     SELECT $1::bigint, n.tenant, n.run, n.step, 'supersede', 'engine', n.note
     FROM unnest($2::text[], $3::bigint[], $4::text[], $5::text[]) n (tenant, run, step, note)`,
  )

  async function join(session: Session, newcomers: readonly Newcomer[], nowMs: number): Promise<Followed> {
    if (newcomers.length === 0) return { queued: [], superseded: [] }
    const entities = await entitiesOf(session, newcomers, nowMs)
    const { taken, outdated } = decide(newcomers, entities)
    await session.rows(setEntities, [
      column(entities, ({ id }) => id),
      column(entities, ({ places }) => places),
      column(entities, ({ newest }) => newest),
      column(entities, ({ newest_place }) => newest_place),
      column(entities, ({ newest_item }) => newest_item),
    ])
    if (taken.length > 0) {
      await session.rows(take, [
        ...namesOf(taken),
        column(taken, ({ entity }) => entity),
        column(taken, ({ place }) => place),
        column(taken, ({ newcomer }) => newcomer.turn.rule),
        column(taken, ({ newcomer }) => waitsReason(newcomer.turn.entity)),
      ])
    }
    const ended = outdated.length === 0 ? [] : await session.rows(endOutdated, [nowMs, ...outdatedColumns(outdated)])
    return followEnds(session, ended, idsOf(entities), nowMs)
  }

  async function entitiesOf(session: Session, newcomers: readonly Newcomer[], nowMs: number): Promise<EntityRow[]> {
    const named = [...new Map(newcomers.map((newcomer) => [entityKey(newcomer), newcomer])).values()]
    return session.rows(enter, [
      nowMs,
      column(named, ({ tenant }) => tenant),
      column(named, ({ turn }) => turn.series),
      column(named, ({ turn }) => turn.entity),
    ])
  }

  /** Whatever has ended, and whatever ends by that, until nothing more does. */
  async function followEnds(
    session: Session,
    ended: readonly SupersededRow[],
    entities: readonly number[],
    nowMs: number,
  ): Promise<Followed> {
    const older = await session.rows(endOlder, [nowMs, [...entities]])
    const all = [...ended, ...older]
    if (all.length > 0) {
      await session.rows(insertOperations, [nowMs, ...placesOf(all), column(all, ({ reason }) => reason)])
    }
    if (older.length > 0) await session.rows(remove, placesOf(older))
    const given = (await session.rows(give, [nowMs, [...entities]])).filter(({ state }) => state === 'queued')
    const beneath = await follow(session, all.map(withoutEntity), nowMs)
    return {
      queued: [...given.map(toQueued), ...beneath.queued],
      superseded: [...all.map(toSuperseded), ...beneath.superseded],
    }
  }

  async function follow(session: Session, changed: readonly EndedRow[], nowMs: number): Promise<Followed> {
    const placed = changed.filter(({ entity }) => entity !== null)
    const turned = await followTurns(session, placed, nowMs)
    const { queued, ended } = await dependents.followUp(session, changed, nowMs)
    const beneath = await followTurns(session, ended, nowMs)
    return {
      queued: [...turned.queued, ...queued, ...beneath.queued],
      superseded: [...turned.superseded, ...beneath.superseded],
    }
  }

  async function followTurns(session: Session, placed: readonly PlacedItem[], nowMs: number): Promise<Followed> {
    if (placed.length === 0) return { queued: [], superseded: [] }
    const entities = [...new Set(placed.flatMap(({ entity }) => entity ?? []))]
    await session.rows(lock, [entities])
    await session.rows(leaveOrPass, placesOf(placed))
    return followEnds(session, [], entities, nowMs)
  }

  return {
    join,
    follow,
    async leave(session, items, nowMs) {
      const entities = [...new Set(items.flatMap(({ entity }) => entity ?? []))]
      if (entities.length === 0) return
      await session.rows(lock, [entities])
      await session.rows(remove, placesOf(items))
      await session.rows(give, [nowMs, entities])
    },
  }
}

/** One after the other, in the order in which they were accepted; the entities are changed on the way. */
function decide(newcomers: readonly Newcomer[], entities: readonly EntityRow[]) {
  const byKey = new Map(entities.map((row) => [JSON.stringify([row.tenant, row.series, row.name]), row]))
  const taken: Taken[] = []
  const outdated: Outdated[] = []
  for (const newcomer of newcomers) {
    const entity = byKey.get(entityKey(newcomer))
    if (!entity) continue
    const { turn, above } = newcomer
    if (outdated.some((other) => other.newcomer.runId === newcomer.runId && above?.has(other.newcomer.step))) continue
    if (isOutdated(turn, entity)) {
      outdated.push({ newcomer, entity: entity.id, reason: outdatedReason(turn, entity) })
      continue
    }
    entity.places += 1
    taken.push({ newcomer, entity: entity.id, place: entity.places })
    if (turn.rule !== 'supersede') continue
    entity.newest = turn.version ?? entity.newest
    entity.newest_place = entity.places
    entity.newest_item = itemId(newcomer.runId, newcomer.step)
  }
  return { taken, outdated }
}

function entityKey({ tenant, turn }: Newcomer): string {
  return JSON.stringify([tenant, turn.series, turn.entity])
}

function namesOf(rows: readonly { readonly newcomer: Newcomer }[]) {
  return [
    column(rows, ({ newcomer }) => newcomer.tenant),
    column(rows, ({ newcomer }) => newcomer.runId),
    column(rows, ({ newcomer }) => newcomer.step),
  ]
}

function outdatedColumns(outdated: readonly Outdated[]) {
  return [...namesOf(outdated), column(outdated, ({ entity }) => entity), column(outdated, ({ reason }) => reason)]
}

function placesOf(items: readonly Pick<PlacedItem, 'tenant' | 'run' | 'step'>[]) {
  return [column(items, ({ tenant }) => tenant), column(items, ({ run }) => run), column(items, ({ step }) => step)]
}

function idsOf(entities: readonly EntityRow[]): number[] {
  return entities.map(({ id }) => id)
}

/** Its place has been dealt with. */
function withoutEntity(row: SupersededRow): EndedRow {
  return { ...row, entity: null }
}

function toSuperseded({ run_id, step, reason, attempts, by }: SupersededRow): Superseded {
  return { itemId: itemId(run_id, step), reason, attempts, by }
}

function toQueued({ run, step, run_id, entity }: GivenRow): QueuedItem {
  return { itemId: itemId(run_id, step), run, step, entity }
}

/** The run of the item that superseded it. */
export function runThatSuperseded({ by }: Superseded): string {
  return parseItemId(by)?.runId ?? by
}
