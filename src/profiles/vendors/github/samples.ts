import type { ProfileSamples } from '../../../config/profile.ts'

const requestId = { 'x-github-request-id': 'A1B2:3C4D:5E6F:7081:67402A10' }
const reset = { 'x-ratelimit-reset': '1795362600' }
const graphqlHeaders = { ...requestId, 'x-ratelimit-resource': 'graphql', 'x-ratelimit-limit': '5000', ...reset }
const graphql = { status: 200, path: '/graphql', headers: { ...graphqlHeaders, 'x-ratelimit-remaining': '4120' } }
const docs = 'https://docs.github.com/rest'

export const githubSamples: ProfileSamples = {
  'secondary-limit': [
    {
      status: 403,
      headers: { ...requestId, 'retry-after': '60', 'x-ratelimit-remaining': '4711', ...reset },
      path: '/repos/{owner}/{repo}/issues',
      body: {
        message: 'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.',
        documentation_url: `${docs}/overview/rate-limits-for-the-rest-api`,
        status: '403',
      },
    },
    {
      status: 403,
      headers: requestId,
      path: '/repos/{owner}/{repo}/issues',
      body: {
        message: 'You have exceeded a secondary rate limit and have been temporarily blocked from content creation.',
        documentation_url: `${docs}/overview/rate-limits-for-the-rest-api`,
      },
      note: 'Without Retry-After: a minute.',
    },
  ],
  'primary-limit': [
    {
      status: 403,
      headers: {
        ...requestId,
        'x-ratelimit-limit': '5000',
        'x-ratelimit-remaining': '0',
        'x-ratelimit-used': '5000',
        'x-ratelimit-resource': 'core',
        ...reset,
      },
      method: 'GET',
      path: '/repos/{owner}/{repo}/issues',
      body: {
        message: 'API rate limit exceeded for user ID 1001.',
        documentation_url: `${docs}/overview/rate-limits-for-the-rest-api`,
        status: '403',
      },
    },
  ],
  'too-many-requests': [
    {
      status: 429,
      headers: { ...requestId, 'retry-after': '30' },
      method: 'GET',
      body: { message: 'Too many requests' },
    },
  ],
  'graphql-limit': [
    {
      status: 200,
      path: '/graphql',
      headers: { ...graphqlHeaders, 'x-ratelimit-remaining': '0' },
      body: { errors: [{ type: 'RATE_LIMITED', message: 'API rate limit exceeded for user ID 1001.' }] },
    },
    {
      status: 200,
      path: '/graphql',
      headers: { ...graphqlHeaders, 'x-ratelimit-remaining': '0' },
      body: {
        errors: [
          {
            type: 'RATE_LIMIT',
            code: 'graphql_rate_limit',
            message: 'API rate limit already exceeded for user ID 1001.',
          },
        ],
      },
    },
  ],
  'graphql-too-expensive': [
    {
      ...graphql,
      body: {
        data: { user: null },
        errors: [
          {
            type: 'RESOURCE_LIMITS_EXCEEDED',
            path: ['user', 'contributionsCollection'],
            message: 'Resource limits for this query exceeded.',
          },
        ],
      },
    },
  ],
  'graphql-timeout': [
    {
      ...graphql,
      body: {
        data: null,
        errors: [
          {
            message:
              'Something went wrong while executing your query. This may be the result of a timeout, or it could be a GitHub bug.',
          },
        ],
      },
    },
  ],
  'graphql-forbidden': [
    {
      ...graphql,
      body: {
        data: { addComment: null },
        errors: [{ type: 'FORBIDDEN', path: ['addComment'], message: 'Resource not accessible by integration' }],
      },
    },
    {
      ...graphql,
      body: {
        errors: [
          {
            type: 'INSUFFICIENT_SCOPES',
            message: "The 'email' field requires one of the following scopes: ['user:email'].",
          },
        ],
      },
    },
  ],
  'graphql-not-found': [
    {
      ...graphql,
      body: {
        data: { repository: null },
        errors: [
          {
            type: 'NOT_FOUND',
            path: ['repository'],
            message: "Could not resolve to a Repository with the name 'acme/none'.",
          },
        ],
      },
    },
  ],
  'graphql-refused': [
    {
      ...graphql,
      body: {
        data: { createPullRequest: null },
        errors: [
          { type: 'UNPROCESSABLE', path: ['createPullRequest'], message: 'No commits between main and feature' },
        ],
      },
    },
  ],
  'graphql-errors': [
    {
      ...graphql,
      body: {
        data: { repository: { name: 'site', discussions: null } },
        errors: [
          {
            type: 'SERVICE_UNAVAILABLE',
            path: ['repository', 'discussions'],
            message: 'Discussions are not available.',
          },
        ],
      },
    },
  ],
  'graphql-schema': [
    {
      ...graphql,
      body: {
        errors: [
          {
            path: ['query', 'viewer', 'logon'],
            extensions: { code: 'undefinedField', typeName: 'User', fieldName: 'logon' },
            message: "Field 'logon' doesn't exist on type 'User'",
          },
        ],
      },
    },
  ],
  'statistics-not-ready': [
    { status: 202, headers: requestId, method: 'GET', path: '/repos/{owner}/{repo}/stats/contributors', body: {} },
  ],
  'single-sign-on-needed': [
    {
      status: 403,
      headers: {
        ...requestId,
        'x-github-sso': 'required; url=https://github.com/orgs/acme/sso?authorization_request=sample',
      },
      method: 'GET',
      path: '/orgs/{org}/members',
      body: { message: 'Resource protected by organization SAML enforcement.', documentation_url: docs },
    },
  ],
  'no-access': [
    {
      status: 403,
      headers: {
        ...requestId,
        'x-accepted-github-permissions': 'issues=write',
        'x-ratelimit-remaining': '4998',
        ...reset,
      },
      path: '/repos/{owner}/{repo}/issues',
      body: {
        message: 'Resource not accessible by integration',
        documentation_url: `${docs}/issues/issues`,
        status: '403',
      },
    },
  ],
  'bad-credentials': [
    {
      status: 401,
      headers: requestId,
      method: 'GET',
      body: { message: 'Bad credentials', documentation_url: docs, status: '401' },
    },
  ],
  'not-found-or-hidden': [
    {
      status: 404,
      headers: requestId,
      path: '/repos/{owner}/{repo}/issues',
      body: { message: 'Not Found', documentation_url: `${docs}/issues/issues`, status: '404' },
    },
  ],
  'content-changed': [
    {
      status: 409,
      headers: requestId,
      method: 'PUT',
      path: '/repos/{owner}/{repo}/contents/{path}',
      body: { message: 'README.md does not match 3f2a9c0', documentation_url: `${docs}/repos/contents`, status: '409' },
    },
  ],
  'already-exists-by-code': [
    {
      status: 422,
      headers: requestId,
      path: '/repos/{owner}/{repo}/labels',
      body: {
        message: 'Validation Failed',
        errors: [{ resource: 'Label', code: 'already_exists', field: 'name' }],
        documentation_url: `${docs}/issues/labels`,
        status: '422',
      },
    },
  ],
  'already-exists-by-message': [
    {
      status: 422,
      headers: requestId,
      path: '/repos/{owner}/{repo}/git/refs',
      body: { message: 'Reference already exists', documentation_url: `${docs}/git/refs`, status: '422' },
    },
  ],
}
