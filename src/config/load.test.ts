import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { isHoldfastError } from '../core/errors.ts'
import { loadConfig } from './load.ts'
import { parseConfigText, positionFinder } from './parse.ts'
import { resolveConfig } from './resolve.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-config-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

function write(name: string, text: string): string {
  const file = join(folder, name)
  mkdirSync(join(file, '..'), { recursive: true })
  writeFileSync(file, text)
  return file
}

async function failureOf(loading: Promise<unknown>) {
  try {
    await loading
  } catch (error) {
    if (isHoldfastError(error)) return error
    throw error
  }
  throw new Error('it did not fail')
}

const load = (directory = folder, more: { file?: string; store?: string } = {}) =>
  loadConfig({ directory, env: { TOKEN: 't' }, ...more })

describe('finding and reading', () => {
  it('finds YAML upward, and takes the store relative to the file', async () => {
    const file = write('holdfast.yaml', 'store: sqlite:./data/x.db\nintegrations:\n  crm: { baseUrl: https://x.y }\n')
    mkdirSync(join(folder, 'a/b'), { recursive: true })
    const config = await load(join(folder, 'a/b'))
    expect(config.file).toBe(file)
    expect(config.store).toEqual({ kind: 'sqlite', path: join(folder, 'data/x.db') })
    expect(config.integrations.map(({ name }) => name)).toEqual(['crm'])
  })

  it('a store from the command line is relative to where the command runs', async () => {
    write('holdfast.yaml', 'store: sqlite:./x.db')
    mkdirSync(join(folder, 'sub'))
    const loaded = async (directory: string, store: string) => (await load(directory, { store })).store
    expect(await loaded(join(folder, 'sub'), 'sqlite:y.db')).toMatchObject({ path: join(folder, 'sub/y.db') })
    expect(await loaded(folder, 'sqlite::memory:')).toMatchObject({ path: ':memory:' })
    expect(await failureOf(load(folder, { store: 'mysql://x' }))).toMatchObject({ code: 'invalid_config' })
  })

  it('JSON, and what YAML would let pass is refused in it', async () => {
    write('holdfast.json', '{ "$schema": "./x", "worker": { "concurrency": 3 } }')
    expect((await load()).worker.concurrency).toBe(3)
    write('holdfast.json', '{\n  "worker": { "concurrency": 3, }\n}')
    expect(await failureOf(load())).toMatchObject({ code: 'config_syntax', details: { line: 2, column: 33 } })
    write('holdfast.json', '{"worker": {}')
    expect(await failureOf(load())).toMatchObject({ code: 'config_syntax', details: { line: 1, column: 14 } })
    write('holdfast.json', '{\n\t"store": "sqlite:a",\n\t"store": "sqlite:b" }')
    expect(await failureOf(load())).toMatchObject({ code: 'config_syntax', details: { line: 3, column: 2 } })
  })

  it('TypeScript runs as it is, without a build', async () => {
    write(
      'holdfast.config.ts',
      `interface Shape { concurrency: number }
       const worker: Shape = { concurrency: 9 }
       export default { worker, setup: async () => async () => {} }`,
    )
    const config = await load()
    expect(config.worker.concurrency).toBe(9)
    expect(config.setup).toBeTypeOf('function')
  })

  it('code that throws, or exports nothing, is told with the name of the file', async () => {
    const file = write('a.mjs', 'throw new Error("no database")')
    const thrown = await failureOf(load(folder, { file: 'a.mjs' }))
    expect(thrown).toMatchObject({ code: 'config_code_failed', details: { file } })
    expect(thrown.message).toContain('no database')
    write('b.mjs', 'export const x = 1')
    expect((await failureOf(load(folder, { file: 'b.mjs' }))).message).toContain('no default export')
  })

  it('no configuration, a missing file, a folder, and a file of a wrong size are told apart', async () => {
    mkdirSync(join(folder, 'dir.yaml'))
    write('big.yaml', '#'.repeat(3_000_000))
    expect(await failureOf(load(folder, { file: 'no.yaml' }))).toMatchObject({ code: 'config_not_found' })
    expect(await failureOf(load(folder, { file: 'dir.yaml' }))).toMatchObject({ code: 'config_unreadable' })
    expect((await failureOf(load(folder, { file: 'big.yaml' }))).message).toContain('3000000 bytes')
  })

  it('an expression without quotes is legal YAML that nobody means', async () => {
    write('holdfast.yaml', 'pipelines:\n  p:\n    body: {{ input.email }}\n')
    const error = await failureOf(load())
    expect(error).toMatchObject({ code: 'config_syntax', details: { line: 3 } })
    expect(error.message).toContain('must stand in quotes')
  })

  it('YAML errors have line and column; so have wrong values, behind aliases and merges too', async () => {
    write('holdfast.yaml', 'store: sqlite:a\nworker: { concurrency: [1, 2 }\n')
    expect(await failureOf(load())).toMatchObject({ code: 'config_syntax', details: { line: 2 } })
    write(
      'holdfast.yaml',
      [
        'integrations:',
        '  crm: &crm',
        '    baseUrl: https://x.y',
        '    retry:',
        '      bse: 1s',
        '  other:',
        '    <<: *crm',
        '    preset: crn',
      ].join('\n'),
    )
    const error = await failureOf(load())
    expect(error.message).toContain('line 5, integrations.crm.retry.bse: unknown key; did you mean "base"?')
    expect(error.message).toContain('line 8, integrations.other.preset: expected one of')
  })
})

describe('hostile input', () => {
  function outcome(text: string, file = 'x.yaml'): string {
    try {
      const locate = positionFinder(text)
      resolveConfig(parseConfigText(text, file), { env: {}, baseDirectory: '/', locate })
      return 'accepted'
    } catch (error) {
      if (isHoldfastError(error)) return error.code
      throw error
    }
  }

  it('a billion laughs', () => {
    const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]']
    for (let level = 1; level < 12; level++) {
      lines.push(
        `a${level}: &a${level} [${Array(10)
          .fill(`*a${level - 1}`)
          .join(', ')}]`,
      )
    }
    expect(outcome(lines.join('\n'))).toBe('config_syntax')
  })

  it('a bomb of few aliases is stopped by counting', () => {
    const wide: Record<string, unknown> = { x: 1 }
    let value: unknown = wide
    for (let level = 0; level < 40; level++) value = { a: value, b: value }
    const failing = () => resolveConfig({ integrations: value }, { env: {}, baseDirectory: '/' })
    expect(failing).toThrow(/more than 200000 values/)
  })

  it('a configuration that contains itself', () => {
    expect(outcome('integrations: &a\n  crm: *a')).toBe('invalid_config')
    const circle: Record<string, unknown> = {}
    circle['integrations'] = circle
    expect(() => resolveConfig(circle, { env: {}, baseDirectory: '/' })).toThrow(/contains itself/)
  })

  it('endless nesting', () => {
    expect(outcome(`store: ${'['.repeat(20_000)}`)).toBe('config_syntax')
    expect(outcome(`integrations: ${'{ a: '.repeat(500)}1${' }'.repeat(500)}`)).toBe('invalid_config')
    expect(outcome(`${'['.repeat(100_000)}${']'.repeat(100_000)}`, 'x.json')).toBe('invalid_config')
  })

  it.each(['__proto__: { polluted: true }', 'integrations: { __proto__: { baseUrl: "https://x.y" } }'])(
    'keys that would change a prototype are refused, not swallowed: %s',
    (text) => {
      expect(outcome(text)).toBe('invalid_config')
      expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
    },
  )

  it('names that every object has are names like others', () => {
    const config = resolveConfig(
      parseConfigText(
        'integrations: { constructor: { baseUrl: "https://x.y" }, toString: { baseUrl: "https://x.y" } }',
        'x.yaml',
      ),
      { env: {}, baseDirectory: '/' },
    )
    expect(config.integrations.map(({ name }) => name)).toEqual(['constructor', 'toString'])
  })

  it('any text is accepted or refused with a code; nothing crashes', () => {
    const fragment = fc.constantFrom(
      'store',
      'integrations',
      'pipelines',
      'crm',
      ': ',
      '\n',
      '  ',
      '- ',
      '{',
      '}',
      '[',
      ']',
      '&a ',
      '*a',
      '!!js ',
      '${A}',
      '{{ a }}',
      '"',
      '|',
      '<<',
      '\t',
      '\0',
      '__proto__',
      '30s',
      '#',
      '? ',
      ',',
      'baseUrl',
      'https://x.y',
    )
    const codes = ['accepted', 'config_syntax', 'invalid_config']
    fc.assert(
      fc.property(fc.array(fragment, { maxLength: 30 }), (fragments) => {
        expect(codes).toContain(outcome(fragments.join('')))
      }),
      { numRuns: 2000 },
    )
  })

  it('any data is accepted or refused with a code; nothing crashes', () => {
    const anything = fc.anything({
      withMap: true,
      withSet: true,
      withBigInt: true,
      withDate: true,
      withNullPrototype: true,
    })
    const input = fc.oneof(
      anything,
      fc.dictionary(
        fc.constantFrom('store', 'integrations', 'pipelines', 'worker', 'setup', 'retention', '__proto__'),
        anything,
      ),
      fc.record({
        integrations: fc.record({
          crm: fc.dictionary(fc.constantFrom('baseUrl', 'auth', 'retry', 'limits', 'errors', 'endpoints'), anything),
        }),
      }),
    )
    fc.assert(
      fc.property(input, (value) => {
        try {
          resolveConfig(value, { env: {}, baseDirectory: '/' })
        } catch (error) {
          expect(error).toMatchObject({ code: 'invalid_config' })
        }
      }),
      { numRuns: 3000 },
    )
  })
})
