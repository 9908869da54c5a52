import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { REDACTED, redactHeaders, redactJson, redactText, SECRET_NAMES } from './redact.ts'

const secret = fc.stringMatching(/^[A-Za-z0-9_~+/=-]{12,60}$/).filter((text) => !text.startsWith('='))
const secretName = fc.constantFrom(...SECRET_NAMES).chain((name) =>
  fc.constantFrom(
    name,
    name.toUpperCase(),
    name.replace(/[-_]([a-z])/g, (_, letter: string) => letter.toUpperCase()),
    name.replaceAll('_', '-'),
  ),
)

describe('rule 7: a secret planted under a built-in name never survives', () => {
  test('in a header', () => {
    fc.assert(
      fc.property(secretName, secret, (name, value) => {
        expect(JSON.stringify(redactHeaders({ [name]: value, accept: 'application/json' }))).not.toContain(value)
      }),
    )
  })

  test('in a JSON body, however deep and whatever shape the value has', () => {
    const shaped = secret.chain((value) =>
      fc.constantFrom<[string, unknown]>([value, value], [value, { inner: [value] }], [value, [value, { a: value }]]),
    )
    fc.assert(
      fc.property(secretName, shaped, fc.array(fc.string(), { maxLength: 70 }), (name, [value, planted], path) => {
        const body = path.reduce<unknown>((inner, key) => ({ [key]: inner }), { [name]: planted })
        expect(JSON.stringify(redactJson(body))).not.toContain(value)
      }),
    )
  })

  test('in text: JSON whole or cut off, forms, header lines, query strings', () => {
    const forms: ((name: string, value: string) => string)[] = [
      (name, value) => JSON.stringify({ a: 1, [name]: value, b: 'x' }),
      (name, value) => JSON.stringify({ [name]: value }, null, 2),
      (name, value) => JSON.stringify(JSON.stringify({ [name]: value })),
      (name, value) => JSON.stringify({ [name]: { inner: [value] } }),
      (name, value) => `{"${name}":"${value}`,
      (name, value) => `{'${name}': '${value}'}`,
      (name, value) => `before\n${name}: ${value}\nafter`,
      (name, value) => `${name}=${value}&x=1`,
      (name, value) => `https://api.example.com/path?x=1&${name}=${value}#end`,
      (name, value) => `failed with ${name} = ${value}, sorry`,
    ]
    fc.assert(
      fc.property(secretName, secret, fc.constantFrom(...forms), (name, value, form) => {
        expect(redactText(form(name, value))).not.toContain(value)
      }),
      { numRuns: 500 },
    )
  })

  test('in a bearer or basic scheme, and in the credentials of a URL', () => {
    fc.assert(
      fc.property(secret, fc.constantFrom('Bearer', 'bearer', 'Basic', 'BASIC'), (value, scheme) => {
        expect(redactText(`curl said: ${scheme} ${value} was refused`)).not.toContain(value)
        const password = value.replaceAll('/', 'x')
        expect(redactText(`see postgres://user:${password}@db.example.com/x`)).not.toContain(password)
        expect(redactText(`see https://${password}@db.example.com/x`)).not.toContain(password)
      }),
    )
  })

  test('under a name that the integration adds (D28)', () => {
    expect(redactJson({ contact: { Email: 'ada@example.com' } }, ['contact.email'])).toEqual({
      contact: { Email: REDACTED },
    })
    expect(redactText('{"email":"ada@example.com"', ['email'])).toBe(`{"email":"${REDACTED}"`)
    expect(redactHeaders({ 'x-person': 'Ada' }, ['X-Person'])).toEqual({ 'x-person': REDACTED })
  })
})

describe('rule 7: secrets known by their shape alone', () => {
  const jwt = `eyJ${'hbGciOiJIUzI1NiJ9'}.${'eyJzdWIiOiIxIn0'}.${'c2lnbmF0dXJl'}`
  const samples = [
    jwt,
    `sk_${'live'}_abcdefgh12345678`,
    `sk-${'proj'}-abcdefgh1234567890`,
    `gh${'p'}_abcdefghijklmnop1234`,
    `xo${'xb'}-123456789012-abcdef`,
    `AK${'IA'}ABCDEFGHIJKLMNOP`,
    `shp${'at'}_0123456789abcdef0123`,
    `wh${'sec'}_MfKQ9r8GKYqrTwjUPD8I`,
    `pat-${'na1'}-11112222-3333`,
  ]
  test.each(samples)('%s', (sample) => {
    expect(redactText(`the value ${sample} is not valid`)).toBe(`the value ${REDACTED} is not valid`)
    expect(redactJson([sample])).toEqual([REDACTED])
    expect(redactHeaders({ location: `/x/${sample}` })).toEqual({ location: `/x/${REDACTED}` })
  })

  test('a private key goes as a block, cut off or not', () => {
    const key = '-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n'
    expect(redactText(`${key}-----END RSA PRIVATE KEY----- rest`)).toBe(`${REDACTED} rest`)
    expect(redactText(`${key}MIIdef`)).toBe(REDACTED)
  })
})

describe('what is not secret stays readable', () => {
  test.each([
    'Bearer authentication is required',
    'Basic auth is not supported',
    'token: expired',
    'the password is wrong',
    'max_tokens: 100 exceeds total_tokens=4096',
    'key: lead-17, code: 20429',
    'visit https://docs.example.com/errors?page=2',
    'Invalid email address: ada@example.com',
  ])('%s', (text) => {
    expect(redactText(text)).toBe(text)
  })

  test('ordinary headers and fields', () => {
    const headers = { 'retry-after': '3', 'x-ratelimit-remaining-tokens': '0', 'idempotency-key': 'abc' }
    expect(redactHeaders(headers)).toEqual(headers)
    expect(redactJson({ key: 'a', token_type: 'b', code: 1, ok: true, nothing: null })).toEqual({
      key: 'a',
      token_type: 'b',
      code: 1,
      ok: true,
      nothing: null,
    })
  })
})

describe('hostile input', () => {
  test('a field called __proto__ stays data and is searched', () => {
    const copy = redactJson(JSON.parse('{"__proto__":{"password":"hunter2hunter2"},"polluted":1}'))
    expect(JSON.stringify(copy)).toBe(`{"__proto__":{"password":"${REDACTED}"},"polluted":1}`)
    expect(Object.getPrototypeOf(copy)).toBe(Object.prototype)
  })

  test('100,000 levels deep ends, and does not overflow the stack', () => {
    const deep = JSON.parse('['.repeat(100_000) + ']'.repeat(100_000))
    expect(JSON.stringify(redactJson(deep))).toContain('nested too deep')
  })

  test('a limit on values leaves the rest out', () => {
    const copy = redactJson(
      Array.from({ length: 1000 }, (_, index) => index),
      [],
      { maximumValues: 10 },
    )
    expect(copy).toHaveLength(10)
  })

  const megabyte = 1_000_000
  const repeated = (unit: string) => unit.repeat(Math.ceil(megabyte / unit.length))
  test.each([
    ['letters', 'a'],
    ['separators', '='],
    ['names', 'password='],
    ['open quotes', 'token:"'],
    ['escapes', 'token:"\\'],
    ['escaped quotes', 'token:\\"'],
    ['brackets', 'token:['],
    ['schemes', 'Bearer '],
    ['URLs', 'https://a'],
    ['URL prefix characters', 'a+b.c-'],
    ['token prefixes', '-eyJhbGciOiJ'],
    ['key blocks', '-----BEGIN PRIVATE KEY-----'],
    ['white space', ' '],
    ['name then spaces', 'token   '],
  ])('1 MB of %s costs no more than moments of the processor', (_, unit) => {
    const text = repeated(unit)
    const before = process.cpuUsage()
    redactText(text)
    const { user, system } = process.cpuUsage(before)
    // Linear work takes a tenth of a second; quadratic work, 10^12 steps, would take many minutes.
    expect((user + system) / 1000).toBeLessThan(3000)
  })
})
