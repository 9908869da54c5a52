/** What SECURITY.md claims is held by a test: each claim names one, and it is there. */
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'

const root = resolve(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'SECURITY.md'), 'utf8')

const [, threats = ''] = page.split('## Threats, and what answers them')
const claims = threats
  .split('\n## ')[0]
  ?.split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| threat') && !line.startsWith('| ---'))

describe('SECURITY.md', () => {
  test('is a model of threats, not a page of promises', () => {
    expect(claims?.length).toBeGreaterThan(15)
    for (const part of ['## How to report', '## Whom it trusts', '## What is not covered']) expect(page).toContain(part)
  })

  test.each(claims ?? [])('%s', (claim) => {
    const [, , heldBy = ''] = claim.split(' | ')
    const cited = [...heldBy.matchAll(/`([^`]+\.test\.ts)` "([^"]+)"/g)]
    expect(cited.length).toBeGreaterThan(0)
    for (const [, file = '', name = ''] of cited) {
      expect(existsSync(join(root, file)), file).toBe(true)
      expect(readFileSync(join(root, file), 'utf8'), file).toContain(name)
    }
  })
})
