/** What is known and observed of APIs and vendors, and the credentials for them; never a secret. */
import { z } from '@hono/zod-openapi'
import type { CredentialView } from '../../client/credentials/operators.ts'
import { closed } from '../../config/schema-parts.ts'
import { durationMs } from '../../core/duration.ts'
import { BUILT_IN_PROFILES } from '../../profiles/index.ts'
import { settingsOfProfile } from '../../profiles/judge.ts'
import { defaultRows, overviewOf } from '../../profiles/overview.ts'
import { jsonAnswer } from '../present.ts'
import { notFound } from '../problems.ts'
import type { Add } from '../route.ts'
import * as schemas from '../schemas.ts'
import * as known from '../schemas-installation.ts'

export function addInstallation(add: Add): void {
  addCredentials(add)
  addCredentialOrders(add)
  addProfiles(add)
  addObserved(add)
}

function addCredentials(add: Add): void {
  add({
    method: 'get',
    path: '/v1/credentials',
    scope: 'read',
    summary: 'How the credentials are; never what they are',
    answers: { 200: { description: 'All.', schema: z.object({ credentials: z.array(known.credential) }) } },
    async handle({ operations }) {
      return jsonAnswer({ credentials: await operations.credentials() })
    },
  })
  add({
    method: 'get',
    path: '/v1/credentials/{name}',
    scope: 'read',
    summary: 'How one credential is',
    params: known.credentialParams,
    answers: { 200: { description: 'Never its secrets.', schema: known.credential } },
    async handle({ params, operations }) {
      const view = named(await operations.credentials(), params.name)
      if (!view) throw notFound('credential', params.name)
      return jsonAnswer(view)
    },
  })
}

function named(views: readonly CredentialView[], wanted: string): CredentialView | undefined {
  return views.find(({ name }) => name === wanted || name.split('/')[0] === wanted)
}

function addCredentialOrders(add: Add): void {
  add({
    method: 'post',
    path: '/v1/credentials/rotate-key',
    scope: 'admin',
    summary: 'Encrypt all stored credentials with the present key',
    answers: { 200: { description: 'Which were.', schema: known.rotation } },
    handle: async ({ operations }) => jsonAnswer(await operations.rotateCredentialKey()),
  })
  add({
    method: 'post',
    path: '/v1/credentials/{name}',
    scope: 'admin',
    summary: 'Store a new secret or refresh token, encrypted; what waited for it goes on',
    params: known.credentialParams,
    body: closed({ secret: z.string().min(1).max(100_000) }).openapi('CredentialSecret'),
    answers: { 200: { description: 'Stored.', schema: known.resumed } },
    async handle({ params, body, operations }) {
      return jsonAnswer({ resumed: await operations.setCredential(params.name, body.secret) })
    },
  })
  add({
    method: 'post',
    path: '/v1/credentials/{name}/refresh',
    scope: 'operate',
    summary: 'Get a new token from the token endpoint now, once for all processes; never shown',
    params: known.credentialParams,
    answers: { 200: { description: 'When it was renewed, and until when it is good.', schema: known.refreshed } },
    async handle({ params, operations }) {
      return jsonAnswer(await operations.refreshCredential(params.name))
    },
  })
  add({
    method: 'post',
    path: '/v1/credentials/{name}/resume',
    scope: 'operate',
    summary: 'Lift what is held against a credential: it is tried again',
    params: known.credentialParams,
    answers: { 200: { description: 'Its lanes.', schema: known.resumed } },
    async handle({ params, operations }) {
      const view = named(await operations.credentials(), params.name)
      if (!view) throw notFound('credential', params.name)
      return jsonAnswer({ resumed: await operations.resume(view.name.split('/')[0] ?? view.name) })
    },
  })
}

function addProfiles(add: Add): void {
  add({
    method: 'get',
    path: '/v1/profiles',
    scope: 'read',
    summary: 'The vendors that are known',
    answers: { 200: { description: 'All.', schema: z.object({ profiles: z.array(known.profileOverview) }) } },
    handle({ parts: { profiles = BUILT_IN_PROFILES } }) {
      return jsonAnswer({ profiles: profiles.map(overviewOf) })
    },
  })
  add({
    method: 'get',
    path: '/v1/profiles/{name}',
    scope: 'read',
    summary: 'The decision table of a vendor: what its errors mean, each with its source',
    params: schemas.nameParams,
    answers: { 200: { description: 'The first rule that matches decides.', schema: known.profileTable } },
    handle({ params, parts: { profiles = BUILT_IN_PROFILES } }) {
      const profile = profiles.find(({ name }) => name === params.name)
      if (!profile) throw notFound('profile', params.name)
      const { errors } = settingsOfProfile(profile)
      return jsonAnswer({ ...overviewOf(profile), rules: errors, defaults: defaultRows(errors) })
    },
  })
}

function addObserved(add: Add): void {
  add({
    method: 'get',
    path: '/v1/suggestions',
    scope: 'read',
    summary: 'Failures that no rule knew, each with the rule that could be written for it',
    description: 'Reads all attempts that are kept.',
    query: known.suggestionsQuery,
    answers: { 200: { description: 'The most frequent first.', schema: known.suggestions } },
    async handle({ query, operations, parts }) {
      const since = query.since === undefined ? {} : { sinceMs: parts.clock.wallMs() - durationMs(query.since) }
      const all = await operations.suggestions(since)
      const wanted = all.filter(
        ({ integration }) => query.integration === undefined || integration === query.integration,
      )
      return jsonAnswer({ suggestions: wanted.slice(0, query.limit ?? 20) })
    },
  })
  add({
    method: 'get',
    path: '/v1/endpoints',
    scope: 'read',
    summary: 'How long calls took on the last seven days, and which timeouts fit that',
    answers: { 200: { description: 'By endpoint.', schema: known.observed } },
    async handle({ operations }) {
      const [endpoints, timeouts] = await Promise.all([operations.endpointStatistics(), operations.suggestTimeouts()])
      return jsonAnswer({ endpoints, timeouts })
    },
  })
}
