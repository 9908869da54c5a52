/** `beginEffects` and `endEffects` of the port, to be called inside a transaction. */

import type { EffectReceipt, EndedEffect, NewEffect } from '../../port.ts'
import { effectRefusal } from '../../refusals.ts'
import { column, prepare, type Session } from '../transactions/connection.ts'
import { rounds } from './rounds.ts'

export interface Effects {
  begin(session: Session, effects: readonly NewEffect[], nowMs: number): Promise<EffectReceipt[]>
  end(session: Session, effects: readonly EndedEffect[]): Promise<void>
  /** A person's word: what these owners reserved has happened, or has not. */
  endAllOf(session: Session, verdicts: readonly Verdict[]): Promise<void>
}

export interface Verdict {
  readonly owner: string
  /** `undefined`: it did not happen. */
  readonly done: { readonly output: string; readonly externalId?: string } | undefined
}

interface EffectRow {
  tenant: string
  key: string
  fingerprint: string
  owner: string
  done: boolean
  reserved_until_ms: number
  external_id: string | null
  output: string | null
}

const nameOf = ({ tenant, key }: { readonly tenant: string; readonly key: string }): string =>
  JSON.stringify([tenant, key])

export function prepareEffects(s: string): Effects {
  const reserve = prepare<{ tenant: string; key: string }>(
    // Rows that it must not change it locks, so that they can be read after it as it met them.
    `INSERT INTO ${s}.effects AS e (tenant, key, fingerprint, owner, done, reserved_until_ms, keep_until_ms)
     SELECT n.tenant, n.key, n.fingerprint, n.owner, false, n.reserved_until_ms, n.keep_until_ms
     FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[])
       n (tenant, key, fingerprint, owner, reserved_until_ms, keep_until_ms) ORDER BY n.tenant, n.key
     ON CONFLICT (tenant, key) DO UPDATE SET fingerprint = excluded.fingerprint, owner = excluded.owner, done = false,
       reserved_until_ms = excluded.reserved_until_ms, keep_until_ms = excluded.keep_until_ms, output = NULL,
       external_id = NULL
     WHERE e.keep_until_ms <= $1 OR (NOT e.done AND e.owner = excluded.owner)
     RETURNING e.tenant, e.key`,
  )
  const selectKnown = prepare<EffectRow>(
    `SELECT e.tenant, e.key, e.fingerprint, e.owner, e.done, e.reserved_until_ms, e.external_id, e.output
     FROM unnest($1::text[], $2::text[]) n (tenant, key)
     JOIN ${s}.effects e ON e.tenant = n.tenant AND e.key = n.key`,
  )
  const confirm = prepare(
    `UPDATE ${s}.effects e SET done = true, output = n.output, external_id = n.external_id
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) n (tenant, key, owner, output, external_id)
     WHERE e.tenant = n.tenant AND e.key = n.key AND e.owner = n.owner AND NOT e.done`,
  )
  const free = prepare(
    `DELETE FROM ${s}.effects e USING unnest($1::text[], $2::text[], $3::text[]) n (tenant, key, owner)
     WHERE e.tenant = n.tenant AND e.key = n.key AND e.owner = n.owner AND NOT e.done`,
  )
  const confirmAll = prepare(
    `UPDATE ${s}.effects e SET done = true, output = n.output, external_id = n.external_id
     FROM unnest($1::text[], $2::text[], $3::text[]) n (owner, output, external_id)
     WHERE e.owner = n.owner AND NOT e.done`,
  )
  const freeAll = prepare(`DELETE FROM ${s}.effects WHERE owner = ANY($1::text[]) AND NOT done`)

  async function beginRound(session: Session, effects: readonly NewEffect[], nowMs: number): Promise<EffectReceipt[]> {
    const rows = await session.rows(reserve, [
      nowMs,
      column(effects, (effect) => effect.tenant),
      column(effects, (effect) => effect.key),
      column(effects, (effect) => effect.fingerprint),
      column(effects, (effect) => effect.owner),
      column(effects, (effect) => effect.reservedUntilMs),
      column(effects, (effect) => effect.keepUntilMs),
    ])
    const started = new Set(rows.map(nameOf))
    const refused = effects.filter((effect) => !started.has(nameOf(effect)))
    const known = refused.length === 0 ? [] : await readKnown(session, refused)
    const knownByName = new Map(known.map((row) => [nameOf(row), row]))
    return effects.map((effect) => {
      const row = knownByName.get(nameOf(effect))
      if (!row) return { outcome: 'started' }
      const { reserved_until_ms: reservedUntilMs, external_id: externalId, ...rest } = row
      return effectRefusal({ ...rest, reservedUntilMs, externalId }, effect, nowMs)
    })
  }

  function readKnown(session: Session, effects: readonly NewEffect[]): Promise<EffectRow[]> {
    return session.rows(selectKnown, [
      column(effects, (effect) => effect.tenant),
      column(effects, (effect) => effect.key),
    ])
  }

  async function end(session: Session, effects: readonly EndedEffect[]): Promise<void> {
    const done = effects.filter((effect) => effect.done)
    const freed = effects.filter((effect) => !effect.done)
    if (done.length > 0) {
      await session.rows(confirm, [
        ...ownerColumns(done),
        column(done, (effect) => effect.output),
        column(done, (effect) => effect.externalId),
      ])
    }
    if (freed.length > 0) await session.rows(free, ownerColumns(freed))
  }

  return {
    begin: (session, effects, nowMs) => rounds(effects, nameOf, (round) => beginRound(session, round, nowMs)),
    end,
    async endAllOf(session, verdicts) {
      const done = verdicts.filter((verdict) => verdict.done)
      const freed = verdicts.filter((verdict) => !verdict.done)
      if (done.length > 0) {
        await session.rows(confirmAll, [
          column(done, (verdict) => verdict.owner),
          column(done, (verdict) => verdict.done?.output),
          column(done, (verdict) => verdict.done?.externalId),
        ])
      }
      if (freed.length > 0) await session.rows(freeAll, [column(freed, (verdict) => verdict.owner)])
    },
  }
}

function ownerColumns(effects: readonly EndedEffect[]) {
  return [
    column(effects, (effect) => effect.tenant),
    column(effects, (effect) => effect.key),
    column(effects, (effect) => effect.owner),
  ]
}
