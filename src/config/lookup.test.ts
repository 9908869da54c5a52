/** Which record is ours, and how a look is written (R094, R095). */
import { describe, expect, it } from 'vitest'
import { lookupRequest, type NewestRecords, oursAmongNewest } from './lookup.ts'

describe('lookupRequest', () => {
  it('turns what stands in the path into parameters, and keeps what stands in the query', () => {
    expect(lookupRequest('/contacts')).toEqual({ method: 'GET', path: '/contacts' })
    expect(lookupRequest('/contacts?email={{ input.email }}&limit=1')).toEqual({
      method: 'GET',
      path: '/contacts',
      query: { email: '{{ input.email }}', limit: '1' },
    })
    expect(lookupRequest('/orgs/{{ input.org }}/notes/ref-{{ key }}?q=a%20b')).toEqual({
      method: 'GET',
      path: '/orgs/{value1}/notes/ref-{value2}',
      params: { value1: '{{ input.org }}', value2: '{{ key }}' },
      query: { q: 'a b' },
    })
  })

  it('leaves question marks and ampersands inside expressions alone', () => {
    expect(lookupRequest('/c?x={{ input.a ? "b&c" : "d" }}')).toMatchObject({
      path: '/c',
      query: { x: '{{ input.a ? "b&c" : "d" }}' },
    })
  })
})

describe('R095: ours among the newest records', () => {
  const TRIED_MS = Date.UTC(2026, 10, 22, 12)
  const made = (minutes: number, id = minutes) => ({ id, at: new Date(TRIED_MS + minutes * 60_000).toISOString() })
  const among = (records: readonly { at: unknown }[], more: Partial<NewestRecords> = {}) =>
    oursAmongNewest({
      records,
      candidates: records,
      createdAt: (record) => (record as { at: unknown }).at,
      firstTriedAtMs: TRIED_MS,
      withinMs: 5 * 60_000,
      ...more,
    })
  const cannotTell = expect.objectContaining({ code: 'reconcile_cannot_tell' })

  it('is the one that was made since the first try; clocks may differ by what was said', () => {
    expect(among([made(1), made(-10)])).toEqual(made(1))
    expect(among([made(-4), made(-10)])).toEqual(made(-4))
    expect(among([{ at: TRIED_MS }])).toEqual({ at: TRIED_MS })
    expect(among([{ at: TRIED_MS / 1000 }])).toEqual({ at: TRIED_MS / 1000 })
  })

  it('is not there where the list reaches back further, or is all there is', () => {
    expect(among([made(-10)])).toBeUndefined()
    expect(among([])).toBeUndefined()
    expect(among([made(1), made(2)], { candidates: [], size: 3 })).toBeUndefined()
  })

  it('cannot be told where the list does not reach back', () => {
    expect(() => among([made(1), made(2)], { candidates: [] })).toThrow(cannotTell)
    expect(() => among([made(1), made(2)], { candidates: [], size: 2 })).toThrow(cannotTell)
  })

  it('cannot be told where two may be ours, or where a record does not say when it was made', () => {
    expect(() => among([made(1), made(2)])).toThrow(cannotTell)
    expect(() => among([{ at: 'yesterday' }])).toThrow(cannotTell)
    expect(() => among([{ at: undefined }])).toThrow(cannotTell)
  })
})
