/** `npm run simulate` as a person meets it. */
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import type { Report } from '../../tools/simulation/orders.ts'
import { jsonOf, openWorkshop } from '../support/workshop.ts'

const PROGRAM = fileURLToPath(new URL('../../tools/simulate.ts', import.meta.url))
const LIMIT_MS = 90_000

async function simulate(...words: readonly string[]) {
  await using workshop = openWorkshop()
  return await workshop.spawn(process.execPath, [PROGRAM, ...words]).ended
}

describe('the simulate command', () => {
  test('--help tells what there is, with examples', async () => {
    const { code, stdout } = await simulate('--help')
    expect(code).toBe(0)
    expect(stdout).toContain('npm run simulate -- --seed 4711 --shrink')
  })

  test.for<readonly [readonly string[], RegExp]>([
    [['--seeds', 'many'], /whole number/],
    [['--sed', '1'], /unknown option '--sed'/],
    [['--item', 'x'], /need --seed or --scenario/],
    [['--seed', '1', '--scenario', 'x.json'], /exclude each other/],
    [['--scenario', 'nowhere.json'], /nowhere\.json cannot be read/],
    [['--seed', '1', '--keep', '../x'], /a name of small letters/],
  ])('%o is wrong usage, and says why', async ([words, why]) => {
    const { code, stderr } = await simulate(...words)
    expect(stderr).toMatch(why)
    expect(stderr).toMatch(/hint: /)
    expect(code).toBe(2)
  })

  test('the same seed gives the same trace to the byte, in another process too', { timeout: LIMIT_MS }, async () => {
    const [one, other] = await Promise.all([simulate('--seed', '3', '--json'), simulate('--seed', '3', '--json')])
    expect(one.code, one.stdout.slice(-2000)).toBe(0)
    const report = jsonOf<{ report: Report }>(one).report
    expect(report.traceHash).toMatch(/^[0-9a-f]{64}$/)
    expect(jsonOf<{ report: Report }>(other).report.traceHash).toBe(report.traceHash)
  })

  test('another seed gives another trace', { timeout: LIMIT_MS }, async () => {
    const [one, other] = await Promise.all([simulate('--seed', '3', '--json'), simulate('--seed', '4', '--json')])
    const hashes = [one, other].map((ended) => jsonOf<{ report: Report }>(ended).report.traceHash)
    expect(new Set(hashes).size).toBe(2)
  })

  test('a few seeds: what was exercised, the totals, and quiet on stderr in a pipe', {
    timeout: LIMIT_MS,
  }, async () => {
    const { code, stdout, stderr } = await simulate('--seeds', '2', '--twice')
    expect(stderr).toBe('')
    expect(stdout).toMatch(/exercised +times/)
    expect(stdout).toMatch(/2 seeds in .* of virtual time/)
    expect(stdout).toContain('2 seeds run twice')
    expect(code).toBe(0)
  })

  test('Ctrl-C ends it at once, with what is known', { timeout: LIMIT_MS }, async () => {
    await using workshop = openWorkshop()
    const running = workshop.spawn(process.execPath, [PROGRAM, '--seeds', '100000', '--fresh'])
    await running.says('seeds ')
    running.child.kill('SIGINT')
    const { code, stdout } = await running.ended
    expect(stdout).toContain('ended before its end')
    expect(code).toBe(130)
  })
})
