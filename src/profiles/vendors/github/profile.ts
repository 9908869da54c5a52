/** GitHub: REST and GraphQL. */
import type { Profile } from '../../../config/profile.ts'
import { GITHUB_DOCS, githubRules } from './rules.ts'

export const github: Profile = {
  name: 'github',
  title: 'GitHub',
  docs: [
    GITHUB_DOCS.limits.url,
    GITHUB_DOCS.practices.url,
    GITHUB_DOCS.troubles.url,
    GITHUB_DOCS.graphql.url,
    GITHUB_DOCS.throttling.url,
  ],
  baseUrl: 'https://api.github.com',
  headers: { Accept: 'application/vnd.github+json', 'X-GitHub-Api-Version': '2022-11-28' },
  auth: {
    kinds: ['bearer', 'refresh_token'],
    tokenUrl: 'https://github.com/login/oauth/access_token',
    note: 'Tokens of app installations live one hour; expiring user tokens eight.',
  },
  rateLimits: [
    {
      kind: 'headers',
      name: 'requests',
      // Search, GraphQL and the rest have buckets of their own.
      scope: 'endpoint',
      nameHeader: 'x-ratelimit-resource',
      limit: 'x-ratelimit-limit',
      remaining: 'x-ratelimit-remaining',
      reset: { header: 'x-ratelimit-reset', unit: 'epoch_seconds' },
    },
  ],
  errorPaths: {
    code: ['errors[].code', 'errors[].type', 'errors[].extensions.code'],
    message: ['message', 'errors[].message'],
    field: ['errors[].field', 'errors[].path'],
  },
  rules: githubRules,
  endpoints: {
    'POST /graphql': { batchShape: 'graphql', source: GITHUB_DOCS.graphql },
    // What is there already is refused, by name.
    'POST /repos/{owner}/{repo}/labels': { idempotency: { natural: 'name' }, source: GITHUB_DOCS.troubles },
    'POST /repos/{owner}/{repo}/git/refs': { idempotency: { natural: 'ref' }, source: GITHUB_DOCS.troubles },
    // Adding what is there already changes nothing.
    'POST /repos/{owner}/{repo}/issues/{issue_number}/labels': { idempotency: 'safe' },
    'POST /repos/{owner}/{repo}/issues/{issue_number}/assignees': { idempotency: 'safe' },
    // The content decides the id.
    'POST /repos/{owner}/{repo}/git/blobs': { idempotency: 'safe' },
    'POST /repos/{owner}/{repo}/git/trees': { idempotency: 'safe' },
    'PATCH /repos/{owner}/{repo}/issues/{issue_number}': { idempotency: 'safe' },
    'PATCH /repos/{owner}/{repo}/pulls/{pull_number}': { idempotency: 'safe' },
  },
}
