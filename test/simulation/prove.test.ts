/** `npm run prove` with fewer operations, and what it says of endpoints that are not what their configuration says. */
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/system/system-clock.ts'
import { KINDS, type Kind } from '../../tools/prove/kinds.ts'
import { type ProofResult, problemsOf, prove } from '../../tools/prove/run.ts'
import { jsonOf, openWorkshop } from '../support/workshop.ts'

const PROGRAM = fileURLToPath(new URL('../../tools/prove.ts', import.meta.url))
const LIMIT_MS = 120_000

function kind(name: string, change: Partial<Kind> = {}): Kind {
  const found = KINDS.find((candidate) => candidate.name === name)
  if (!found) throw new Error(`there is no kind ${name}`)
  return { ...found, ...change }
}

async function provedOf(...kinds: readonly Kind[]) {
  return await prove({ operations: kinds.length * 60, seed: 'sabotage', kinds }, { clock: systemClock })
}

describe('R079, R097, rule 3: answers get lost at endpoints of each kind', () => {
  test('none lost, none doubled; what could not be told is listed, and nothing else', {
    timeout: LIMIT_MS,
  }, async () => {
    const result = await prove({ operations: 600, seed: '7' }, { clock: systemClock })
    expect(result.kinds.flatMap(problemsOf)).toEqual([])
    expect(result.done).toBe(600)
    for (const { name, answersLost } of result.kinds) expect(answersLost, name).toBeGreaterThan(0)
    const looked = result.kinds.filter(({ found }) => found > 0).map(({ name }) => name)
    expect(looked).toEqual(['short-key', 'stored-500', 'by-key', 'by-id', 'recent'])
    const listed = result.kinds.filter((row) => row.listed > 0)
    expect(listed.map(({ name }) => name)).toEqual(['hopeless'])
  })
})

describe('the proof can fail', () => {
  const sabotages: readonly (readonly [string, Kind])[] = [
    ['an unsafe endpoint that is called safe', kind('by-key', { idempotency: 'safe' })],
    [
      'D19: a key that is forgotten earlier than said',
      kind('short-key', { idempotency: { key: 'Idempotency-Key', lifetime: '24h' } }),
    ],
    [
      'R095: a look that concludes while the call may be on its way',
      kind('by-key', { reconcile: { get: '/records?operation=none', found: '{{ answer.data.results[0] }}' } }),
    ],
  ]
  test.for(sabotages)('%s: done more than once', { timeout: LIMIT_MS }, async ([, told]) => {
    const { passed, kinds } = await provedOf(told)
    expect(passed).toBe(false)
    expect(kinds[0]?.doubled.length).toBeGreaterThan(0)
  })

  test('a look that finds what is not there: lost', { timeout: LIMIT_MS }, async () => {
    const { kinds } = await provedOf(kind('by-key', { reconcile: { get: '/records', found: '{{ true }}' } }))
    expect(kinds[0]?.lost.length).toBeGreaterThan(0)
  })
})

describe('the prove command', () => {
  async function run(...words: readonly string[]) {
    await using workshop = openWorkshop()
    return await workshop.spawn(process.execPath, [PROGRAM, ...words]).ended
  }

  test('--json tells each kind; the same seed gives the same run', { timeout: LIMIT_MS }, async () => {
    const [one, other] = await Promise.all([
      run('--operations', '40', '--seed', '5', '--json'),
      run('--operations', '40', '--seed', '5', '--json'),
    ])
    expect(one.code, one.stderr).toBe(0)
    const { kinds, passed } = jsonOf<ProofResult>(one)
    expect(passed).toBe(true)
    expect(kinds.map(({ name }) => name)).toEqual(KINDS.map(({ name }) => name))
    expect(jsonOf<ProofResult>(other).kinds).toEqual(kinds)
  })

  test('wrong usage says why', async () => {
    const { code, stderr } = await run('--operations', 'many')
    expect(stderr).toMatch(/whole number[\s\S]*hint: /)
    expect(code).toBe(2)
  })
})
