import { describe, expect, it } from 'vitest'
import { ITEM_STATES, isLegalTransition } from '../../../core/item-state.ts'
import { connect } from '../transactions/connection.ts'
import { storeError } from '../transactions/errors.ts'
import { migrate } from './migrate.ts'
import { enforceLegalTransitions } from './transitions.ts'

describe('legal transitions are held by the store itself', () => {
  it('takes each legal transition and refuses each other', () => {
    const database = connect(':memory:', { busyWaitMs: 0 })
    migrate(database, 'sqlite::memory:')
    enforceLegalTransitions(database)
    const insert = database.prepare(
      `INSERT INTO items (no, run, step, channel, book, state, optional, unmet, updated_at_ms)
       VALUES (?1, ?1, 's', 1, 1, ?2, 0, 0, 0)`,
    )
    const update = database.prepare('UPDATE items SET state = ? WHERE no = ?')
    let run = 0
    for (const from of ITEM_STATES) {
      for (const to of ITEM_STATES) {
        insert.run(++run, from)
        const accepted = outcomeOf(() => update.run(to, run))
        const expected = from === to || isLegalTransition(from, to) ? 'accepted' : 'illegal_transition'
        expect(`${from} -> ${to}: ${accepted}`).toBe(`${from} -> ${to}: ${expected}`)
      }
    }
  })
})

function outcomeOf(work: () => void): string {
  try {
    work()
    return 'accepted'
  } catch (error) {
    return storeError(error, 'the test').code
  }
}
