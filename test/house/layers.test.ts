import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { describe, expect, test } from 'vitest'

const root = resolve(import.meta.dirname, '../..')
const source = join(root, 'src')

/** From the ground up (design.md, section 4): a room imports only from itself and from rooms before it. */
const ROOMS = [
  'core',
  'config',
  'policy',
  'profiles',
  'ledger',
  'client',
  'webhooks',
  'engine',
  'observe',
  'testing',
  'system',
  'gateway',
  'cli',
]

const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))

function importsOf(text: string): string[] {
  const pattern = /(?:\bfrom\s+|\bimport\s*\(\s*|^import\s+)['"]([^'"]+)['"]/gm
  return [...text.matchAll(pattern)].map((match) => match[1] as string)
}

function roomOf(path: string): string {
  const parts = relative(source, path).split(sep)
  return parts.length === 1 ? '(root)' : (parts[0] as string)
}

describe('the house', () => {
  test('every source file is seen', () => {
    expect(files.length).toBeGreaterThan(50)
  })

  test('rooms import downwards only', () => {
    const wrong: string[] = []
    let checked = 0
    for (const file of files) {
      const path = join(source, file)
      // Tests of a room may use the test kit, which stands above it.
      if (file.endsWith('.test.ts')) continue
      const room = roomOf(path)
      const rank = room === '(root)' ? ROOMS.indexOf('cli') : ROOMS.indexOf(room)
      expect(rank, `${file} is in a room that the list of rooms does not know`).toBeGreaterThanOrEqual(0)
      for (const specifier of importsOf(readFileSync(path, 'utf8'))) {
        if (!specifier.startsWith('.')) continue
        checked += 1
        const target = roomOf(resolve(dirname(path), specifier))
        if (target === '(root)') {
          if (room !== '(root)' && room !== 'cli') wrong.push(`${file} -> ${specifier}`)
        } else if (ROOMS.indexOf(target) > rank) wrong.push(`${file} -> ${specifier}`)
      }
    }
    expect(checked).toBeGreaterThan(150)
    expect(wrong).toEqual([])
  })

  test('pure rooms import nothing that acts on the world', () => {
    const allowed = new Set(['node:crypto', 'uuid', '@standard-schema/spec'])
    const wrong = files
      .filter((file) => /^(core|policy)[\\/]/.test(file) && !file.endsWith('.test.ts'))
      .flatMap((file) =>
        importsOf(readFileSync(join(source, file), 'utf8'))
          .filter((specifier) => !specifier.startsWith('.') && !allowed.has(specifier))
          .map((specifier) => `${file} -> ${specifier}`),
      )
    expect(wrong).toEqual([])
  })

  test('design.md rule 8: only system/ reads the clock, sets timers or draws chance', () => {
    const banned =
      /\bDate\.now\b|\bnew Date\(\s*\)|\bperformance\.now\b|(?<![\w.])(?:setTimeout|setInterval|setImmediate)\b|\bMath\.random\b|\brandomUUID\b|\brandomBytes\b|\bgetRandomValues\b|node:timers/
    // The virtual clock reads no time: it lets one turn of the event loop pass, which only the event loop itself can give.
    const exempt = new Set([join('testing', 'virtual-clock.ts')])
    const wrong = files
      .filter((file) => !file.startsWith('system') && !exempt.has(file))
      .flatMap((file) =>
        withoutComments(readFileSync(join(source, file), 'utf8'))
          .split('\n')
          .flatMap((line, index) => (banned.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : [])),
      )
    expect(wrong).toEqual([])
  })

  test('files stay readable: at most about 400 lines', () => {
    const long = files
      .map((file) => [file, readFileSync(join(source, file), 'utf8').split('\n').length] as const)
      .filter(([file, lines]) => lines > 430 && !file.endsWith('.test.ts') && !file.includes('conformance'))
    expect(long).toEqual([])
  })
})

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, '')).replace(/(^|\s)\/\/.*$/gm, '$1')
}
