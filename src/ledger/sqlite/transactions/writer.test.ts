import { describe, expect, it } from 'vitest'
import { impatientClock } from '../../../../test/support/impatient-clock.ts'
import { connect, prepare } from './connection.ts'
import { createWriter, type Writer } from './writer.ts'

function openWriter() {
  const database = connect(':memory:', { busyWaitMs: 0 })
  database.exec('CREATE TABLE notes (text TEXT NOT NULL)')
  const commits: number[] = []
  let told = 0
  let rollbacks = 0
  const select = prepare<{ text: string }>(database, 'SELECT text FROM notes')
  const insert = prepare(database, 'INSERT INTO notes VALUES (?)')
  const writer: Writer = createWriter({
    database,
    clock: impatientClock(),
    store: 'sqlite:test',
    busyTimeoutMs: 100,
    beforeCommit: () => commits.push(select.all().length),
    afterCommit: () => {
      told += 1
    },
    afterRollback: () => {
      rollbacks += 1
    },
  })
  const note = (text: string | null): Promise<number> =>
    writer.write(() => {
      insert.run(text)
      return select.all().length
    })
  const texts = (): string[] => select.all().map((row) => row.text)
  return { writer, note, texts, commits, told: () => told, rollbacks: () => rollbacks }
}

describe('group commit', () => {
  it('writes what is asked for in one turn in one transaction, in order', async () => {
    const { note, commits, texts } = openWriter()
    expect(await Promise.all([note('a'), note('b'), note('c')])).toEqual([1, 2, 3])
    expect(commits).toEqual([3])
    await note('d')
    expect(commits).toEqual([3, 4])
    expect(texts()).toEqual(['a', 'b', 'c', 'd'])
  })

  it('a promise settles only after the commit', async () => {
    const { note, commits } = openWriter()
    let settled = false
    const noting = note('a').then(() => {
      settled = true
    })
    expect([settled, commits.length]).toEqual([false, 0])
    await noting
    expect(commits).toHaveLength(1)
  })

  it('a write that fails does not take its neighbours along', async () => {
    const { note, texts, told, rollbacks } = openWriter()
    const texts16 = Array.from({ length: 16 }, (_, index) => (index === 11 ? null : `note ${index}`))
    const results = await Promise.allSettled(texts16.map(note))
    expect(results.filter((result) => result.status === 'rejected')).toMatchObject([
      { reason: { code: 'store_failed', message: expect.stringContaining('NOT NULL') } },
    ])
    expect(results[11]?.status).toBe('rejected')
    expect(texts()).toEqual(texts16.filter((text) => text !== null))
    // By halves: 16, 8, 4, 2, 1.
    expect(rollbacks()).toBe(5)
    // The first eight, two of the others, one, and the last four.
    expect(told()).toBe(4)
  })

  it('closing writes what was asked for, then refuses', async () => {
    const { writer, note, texts } = openWriter()
    const noting = note('a')
    const closing = writer.close()
    await expect(note('b')).rejects.toMatchObject({ code: 'store_closed' })
    await closing
    expect(await noting).toBe(1)
    expect(texts()).toEqual(['a'])
  })

  it('a flood is written in several groups', async () => {
    const { note, commits } = openWriter()
    await Promise.all(Array.from({ length: 4500 }, (_, index) => note(`${index}`)))
    expect(commits).toEqual([2000, 4000, 4500])
  })
})
