/** Shopify: the GraphQL Admin API. Almost every error comes with status 200. */
import type { Profile } from '../../../config/profile.ts'
import { SHOPIFY_DOCS } from '../shopify/rules.ts'
import { shopifyGraphqlRules } from './rules.ts'

export const shopifyGraphql: Profile = {
  name: 'shopify-graphql',
  title: 'Shopify GraphQL',
  docs: [
    SHOPIFY_DOCS.graphql.url,
    SHOPIFY_DOCS.graphqlLimits.url,
    SHOPIFY_DOCS.codes.url,
    SHOPIFY_DOCS.idempotency.url,
  ],
  auth: {
    kinds: ['header', 'refresh_token'],
    header: 'X-Shopify-Access-Token',
    note: 'Every shop has an address (SHOP.myshopify.com) and a token of its own. Newer apps get tokens that expire and are renewed.',
  },
  rateLimits: [
    {
      kind: 'body',
      name: 'cost',
      unit: 'points',
      path: 'extensions.cost.throttleStatus',
      limit: 'maximumAvailable',
      remaining: 'currentlyAvailable',
      restorePerSecond: 'restoreRate',
      cost: 'extensions.cost.requestedQueryCost',
    },
  ],
  errorPaths: {
    code: ['errors[].extensions.code', 'data.*.userErrors[].code', 'error'],
    message: ['errors[].message', 'data.*.userErrors[].message', 'errors', 'error_description'],
    field: ['data.*.userErrors[].field', 'errors[].path'],
  },
  rules: shopifyGraphqlRules,
  endpoints: {
    // One address for reads and writes, so that nothing may be repeated unasked. An integration
    // that sends only mutations with @idempotent(key: ...), or only queries, may set this to safe.
    'POST /admin/api/{version}/graphql.json': {
      idempotency: 'unsafe',
      batchShape: 'graphql',
      source: SHOPIFY_DOCS.idempotency,
    },
  },
  redact: ['phone', 'address1', 'address2', 'zip', 'latitude', 'longitude', 'client_secret', 'access_token'],
}
