/** Profiles in a configuration: found by name or given as a value, overridden rule by rule. */
import { describe, expect, test } from 'vitest'
import type { ConfigInput } from './define.ts'
import type { Profile } from './profile.ts'
import { resolveConfig } from './resolve.ts'

const source = { url: 'https://acme.example/docs', read: '2026-11-22', certainty: 'vendor' } as const

const acme: Profile = {
  name: 'acme',
  title: 'Acme',
  docs: ['https://acme.example/docs'],
  baseUrl: 'https://api.acme.example',
  headers: { 'Acme-Version': '3', accept: 'application/vnd.acme+json' },
  preset: 'crm',
  timeouts: { total: '20s' },
  limits: { values: { rate: '50/1s' }, source },
  errorPaths: { code: ['fault.kind'] },
  rules: [
    { id: 'exists', status: 409, code: 'EXISTS', class: 'conflict', reportAs: 'already_exists', hint: 'Look.', source },
    { id: 'busy', status: 409, class: 'transient', hint: 'Wait.', source: { ...source, certainty: 'unverified' } },
  ],
  endpoints: {
    'POST /things': { idempotency: { key: 'Acme-Key' }, timeouts: { total: '90s' }, batchShape: 'json-array' },
    'GET /things/{id}': { eventuallyConsistent: { retries: 2 } },
  },
  redact: ['acmeSecret'],
}

type Integration =
  NonNullable<ConfigInput['integrations']> extends infer All
    ? Extract<All, Readonly<Record<string, unknown>>>[string]
    : never

function load(crm: Integration, more: ConfigInput = {}) {
  const config = resolveConfig({ integrations: { crm }, ...more }, { env: {}, baseDirectory: '/', profiles: [acme] })
  return config.integrations[0] ?? expect.fail('it is there')
}

describe('what an integration has from its profile', () => {
  test('a name is enough: address, headers, limits, paths, rules, endpoints', () => {
    const crm = load({ profile: 'acme' })
    expect(crm).toMatchObject({
      profile: 'acme',
      baseUrl: 'https://api.acme.example',
      headers: { 'Acme-Version': '3' },
      limits: { rate: { limit: 50, perMs: 1000 } },
      errorPaths: { code: ['fault.kind'] },
      redact: ['acmeSecret'],
      defaults: { retry: { baseMs: 2000 }, timeouts: { totalMs: 20_000 } },
      endpoints: {
        'POST /things': { idempotency: { kind: 'key', header: 'Acme-Key' }, timeouts: { totalMs: 90_000 } },
        'GET /things/{id}': { idempotency: { kind: 'safe' }, eventuallyConsistent: { retries: 2, delayMs: 2000 } },
      },
    })
    expect(crm.endpoints['POST /things']?.batchShape?.envelope).toEqual({ kind: 'list', at: '' })
    expect(crm.errors.map(({ label }) => label)).toEqual([
      'profile acme: exists (https://acme.example/docs, read 2026-11-22)',
      'profile acme: busy (https://acme.example/docs, read 2026-11-22, unverified)',
    ])
  })

  test('R056: whatever the integration says goes before it: preset, settings, headers in any case, paths, endpoints', () => {
    const crm = load({
      profile: 'acme',
      baseUrl: 'https://eu.acme.example/',
      preset: 'sequencer',
      headers: { Accept: 'application/json' },
      timeouts: { total: '30s' },
      limits: { rate: '10/1s' },
      errorPaths: { code: 'mine' },
      endpoints: {
        'GET /things/{name}': { eventuallyConsistent: { delay: '9s' } },
        'POST /things': { idempotency: 'unsafe' },
      },
    })
    expect(crm).toMatchObject({
      baseUrl: 'https://eu.acme.example',
      headers: { 'Acme-Version': '3', Accept: 'application/json' },
      limits: { rate: { limit: 10 } },
      errorPaths: { code: ['mine', 'fault.kind'] },
      defaults: { retry: { baseMs: 500 }, timeouts: { totalMs: 30_000 } },
    })
    expect(Object.keys(crm.headers)).toHaveLength(2)
    // Templates that differ in the names of their parts are the same endpoint.
    expect(Object.keys(crm.endpoints)).toEqual(['GET /things/{name}', 'POST /things'])
    expect(crm.endpoints).toMatchObject({
      'GET /things/{name}': { eventuallyConsistent: { retries: 2, delayMs: 9000 } },
      'POST /things': { idempotency: { kind: 'unsafe' }, timeouts: { totalMs: 30_000 } },
    })
  })

  test('what the profile knows of a family, or of a template, holds for an endpoint of it that the integration names', () => {
    const endpoints = {
      'POST /v1/*': { idempotency: { key: 'Acme-Key' } },
      'POST /v1/search/{what}': { idempotency: 'safe' },
    } as const
    const written = {
      'POST /v1/charges': { timeouts: { total: '5s' } },
      'POST /v1/search/people': { timeouts: { total: '5s' } },
    } as const
    expect(load({ profile: { ...acme, endpoints }, endpoints: written }).endpoints).toMatchObject({
      'POST /v1/charges': { idempotency: { kind: 'key', header: 'Acme-Key' }, timeouts: { totalMs: 5000 } },
      'POST /v1/search/people': { idempotency: { kind: 'safe' } },
    })
  })

  test('a profile can be a value, and one of the configuration goes before a built-in one of the same name', () => {
    expect(load({ profile: { ...acme, name: 'mine', title: 'Mine' } }).profile).toBe('mine')
    const own = { ...acme, baseUrl: 'https://mine.example' }
    expect(load({ profile: 'acme' }, { profiles: [own] }).baseUrl).toBe('https://mine.example')
  })
})

describe('R022: rules of an integration and of its profile', () => {
  test('its own come first; one with the id of a rule of the profile changes that rule, in its place', () => {
    const { errors } = load({
      profile: 'acme',
      errors: [
        { id: 'busy', class: 'wait_long', hint: 'It is the night job.' },
        { status: 418, class: 'validation' },
        { id: 'teapot', status: 419, class: 'schema', source: 'seen on Monday' },
      ],
    })
    expect(errors.map(({ label }) => label)).toEqual([
      'crm:errors[1]',
      'crm:errors.teapot (seen on Monday)',
      'profile acme: exists (https://acme.example/docs, read 2026-11-22)',
      'crm:errors.busy, over profile acme: busy (https://acme.example/docs, read 2026-11-22, unverified)',
    ])
    expect(errors[3]).toMatchObject({ status: 409, class: 'wait_long', hint: 'It is the night job.' })
  })
})

describe('refusals', () => {
  const problems = (crm: object, more: object = {}) => {
    try {
      resolveConfig({ integrations: { crm }, ...more }, { env: {}, baseDirectory: '/', profiles: [acme] })
    } catch (error) {
      return (error as Error).message
    }
    return expect.fail('it was taken')
  }
  const rule = { id: 'r', status: 400, class: 'schema', hint: 'h', source }

  test.each<[string, object, object, string]>([
    [
      'a wrong name',
      { profile: 'akme' },
      {},
      'integrations.crm.profile: there is no profile "akme"; did you mean "acme"?',
    ],
    [
      'a change of no rule',
      { profile: 'acme', errors: [{ id: 'exist', hint: 'x' }] },
      {},
      'the profile has no rule "exist" to change; did you mean "exists"?',
    ],
    [
      'a rule without a class',
      { baseUrl: 'https://x.y', errors: [{ status: 400 }] },
      {},
      'integrations.crm.errors[0]: expected a class',
    ],
    [
      'no address anywhere',
      { profile: { ...acme, baseUrl: undefined } },
      {},
      'baseUrl: is missing: expected the base URL of the API',
    ],
    [
      'a pattern that could take for ever',
      { baseUrl: 'https://x.y', errors: [{ message: '/(a+)+$/', class: 'schema' }] },
      {},
      'repeats no group',
    ],
    [
      'a rule of a profile without a status',
      {},
      { profiles: [{ ...acme, rules: [{ ...rule, status: undefined }] }] },
      'profiles[0].rules[0]: expected a status',
    ],
    [
      'a rule of a profile without a source',
      {},
      { profiles: [{ ...acme, rules: [{ ...rule, source: undefined }] }] },
      'profiles[0].rules[0].source',
    ],
    ['two rules with one id', {}, { profiles: [{ ...acme, rules: [rule, rule] }] }, 'there are two rules "r"'],
    [
      'a source that is no https page',
      {},
      { profiles: [{ ...acme, rules: [{ ...rule, source: { ...source, url: 'http://x.y' } }] }] },
      'expected an https address',
    ],
    [
      'a day that is none',
      {},
      { profiles: [{ ...acme, rules: [{ ...rule, source: { ...source, read: '2026-13-45' } }] }] },
      'expected a day that exists',
    ],
    [
      'an unknown batch shape',
      {},
      { profiles: [{ ...acme, endpoints: { 'POST /a': { batchShape: 'hubspott' } } }] },
      'expected a batch shape',
    ],
  ])('%s', (_what, crm, more, message) => {
    expect(problems({ ...('profile' in crm ? {} : { baseUrl: 'https://x.y' }), ...crm }, more)).toContain(message)
  })
})
