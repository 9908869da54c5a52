/** `beginEffects` and `endEffects` of the port, to be called inside a transaction. */
import type { EffectEnd, EffectReceipt, EndedEffect, NewEffect } from '../../port.ts'
import { effectRefusal, type KnownEffect } from '../../refusals.ts'
import { type Database, prepare } from '../transactions/connection.ts'

export interface Effects {
  begin(effect: NewEffect, nowMs: number): EffectReceipt
  end(effect: EffectEnd, tenant: string, owner: string): void
  endAll(effects: readonly EndedEffect[]): void
  /** A person's word: what this owner reserved has happened, or has not. */
  endAllOf(owner: string, verdict: { readonly output: string; readonly externalId?: string } | 'not_done'): void
}

interface EffectRow {
  fingerprint: string
  owner: string
  done: number
  reserved_until_ms: number
  keep_until_ms: number
  external_id: string | null
  output: string | null
}

export function prepareEffects(database: Database): Effects {
  const select = prepare<EffectRow>(
    database,
    `SELECT fingerprint, owner, done, reserved_until_ms, keep_until_ms, external_id, output FROM effects
     WHERE tenant = ? AND key = ?`,
  )
  const reserve = prepare(
    database,
    `INSERT OR REPLACE INTO effects (tenant, key, fingerprint, owner, done, reserved_until_ms, keep_until_ms)
     VALUES (?, ?, ?, ?, 0, ?, ?)`,
  )
  const confirm = prepare(
    database,
    'UPDATE effects SET done = 1, output = ?, external_id = ? WHERE tenant = ? AND key = ? AND owner = ? AND done = 0',
  )
  const free = prepare(database, 'DELETE FROM effects WHERE tenant = ? AND key = ? AND owner = ? AND done = 0')
  const confirmAll = prepare(
    database,
    'UPDATE effects SET done = 1, output = ?, external_id = ? WHERE owner = ? AND done = 0',
  )
  const freeAll = prepare(database, 'DELETE FROM effects WHERE owner = ? AND done = 0')

  function begin(effect: NewEffect, nowMs: number): EffectReceipt {
    const found = select.get(effect.tenant, effect.key)
    const known = found && found.keep_until_ms > nowMs ? found : undefined
    // Its own owner retries, perhaps with a corrected payload.
    const isOwn = known?.done === 0 && known.owner === effect.owner
    if (known && !isOwn) return effectRefusal(toKnown(known), effect, nowMs)
    reserve.run(effect.tenant, effect.key, effect.fingerprint, effect.owner, effect.reservedUntilMs, effect.keepUntilMs)
    return { outcome: 'started' }
  }

  function end(effect: EffectEnd, tenant: string, owner: string): void {
    if (effect.done) confirm.run(effect.output, effect.externalId ?? null, tenant, effect.key, owner)
    else free.run(tenant, effect.key, owner)
  }

  return {
    begin,
    end,
    endAll(effects) {
      for (const effect of effects) end(effect, effect.tenant, effect.owner)
    },
    endAllOf(owner, verdict) {
      if (verdict === 'not_done') freeAll.run(owner)
      else confirmAll.run(verdict.output, verdict.externalId ?? null, owner)
    },
  }
}

function toKnown(row: EffectRow): KnownEffect {
  return {
    fingerprint: row.fingerprint,
    owner: row.owner,
    done: row.done === 1,
    reservedUntilMs: row.reserved_until_ms,
    output: row.output,
    externalId: row.external_id,
  }
}
