/** What was asked for stays proved: each requirement that is due is in the name of a test. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'

const root = resolve(import.meta.dirname, '../..')

/** Failures, retries, breakers, idempotency, queue and ledger; credentials and timeouts. The others are not due yet. */
const DUE = [...numbersFrom(1, 120), ...numbersFrom(145, 153)]

/** Without a test, and why. Whoever writes one takes the line away. */
const WITHOUT_TEST: Readonly<Record<string, string>> = {}

function numbersFrom(first: number, last: number): string[] {
  return Array.from({ length: last - first + 1 }, (_, index) => `R${String(first + index).padStart(3, '0')}`)
}

/** Tests, and the suite that every adapter of the store runs; this file names what it does not prove. */
function testFiles(): string[] {
  const here = join('test', 'house', 'requirements.test.ts')
  return ['src', 'test', 'examples']
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((file) => join(folder, file)),
    )
    .filter((file) => file.endsWith('.test.ts') || /ledger.conformance.\w+\.ts$/.test(file))
    .filter((file) => file !== here)
}

/** The numbers in names of tests, `R046-R049` being four; a comment proves nothing. */
function namedIn(text: string): string[] {
  const names = text.replace(/^\s*(\/\/|\/\*|\*).*$/gm, '').matchAll(/(['"`]).*?\bR\d{3}.*?\1/g)
  return [...names].flatMap(([name]) =>
    [...name.matchAll(/\bR(\d{3})(?:-R(\d{3}))?\b/g)].flatMap(([, first, last]) =>
      numbersFrom(Number(first), Number(last ?? first)),
    ),
  )
}

describe('requirements', () => {
  const named = new Set(testFiles().flatMap((file) => namedIn(readFileSync(join(root, file), 'utf8'))))

  test('each that is due is in the name of a test', () => {
    expect(DUE.filter((requirement) => !named.has(requirement) && !WITHOUT_TEST[requirement])).toEqual([])
  })

  test('a name is found, alone or in a range; a comment is not', () => {
    expect(namedIn("test('R046-R048, D11: when', () => {\n  // R100\n})\n/** R101 */\nit(`R007: and`)")).toEqual([
      'R046',
      'R047',
      'R048',
      'R007',
    ])
  })

  test('each exception is due, and says why', () => {
    for (const [requirement, reason] of Object.entries(WITHOUT_TEST)) {
      expect(DUE).toContain(requirement)
      expect(reason).not.toBe('')
    }
  })
})
