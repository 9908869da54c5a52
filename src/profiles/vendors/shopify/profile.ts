/** Shopify: the REST Admin API, which is legacy since October 2024. GraphQL is `shopify-graphql`. */
import type { Profile, ProfileEndpoint } from '../../../config/profile.ts'
import { SHOPIFY_DOCS, shopifyStatusRules } from './rules.ts'

const BY_ID: ProfileEndpoint = { idempotency: 'safe' }

export const shopify: Profile = {
  name: 'shopify',
  title: 'Shopify REST',
  docs: [SHOPIFY_DOCS.codes.url, SHOPIFY_DOCS.restLimits.url, 'https://shopify.dev/docs/api/admin-rest'],
  auth: {
    kinds: ['header', 'refresh_token'],
    header: 'X-Shopify-Access-Token',
    note: 'Every shop has an address (SHOP.myshopify.com) and a token of its own. Newer apps get tokens that expire and are renewed.',
  },
  rateLimits: [
    // A leaky bucket for each app and shop. Larger plans leak faster; the header tells the size.
    { kind: 'fraction', name: 'bucket', header: 'x-shopify-shop-api-call-limit', restorePerSecond: 2 },
  ],
  errorPaths: {
    code: ['error'],
    message: ['errors', 'errors.*', 'errors.*.*', 'error_description', 'error'],
    field: ['errors.{field}'],
  },
  rules: [
    {
      id: 'limited',
      status: 429,
      class: 'rate_limited',
      retryAfter: { otherwise: '2s', atLeast: '1s' },
      hint: 'Nothing to do: the lane waits. The bucket of an app in a shop takes 40 calls and leaks two a second (more in larger plans).',
      source: SHOPIFY_DOCS.restLimits,
    },
    ...shopifyStatusRules,
    {
      id: 'value-taken',
      status: [409, 422],
      message: 'already been taken',
      class: 'conflict',
      reportAs: 'already_exists',
      maxRetries: 0,
      hint: 'Another record of the shop has this e-mail address, phone number, handle or code: find it and update it instead.',
      userMessage: 'This already exists in the shop.',
      source: { ...SHOPIFY_DOCS.codes, certainty: 'second_hand' },
    },
    {
      id: 'invalid-data',
      status: [400, 422],
      body: { path: 'errors' },
      class: 'validation',
      hint: 'Correct the fields that `errors` names, at their source or in the replay.',
      userMessage: 'Some of the information was not accepted. Please check it.',
      source: SHOPIFY_DOCS.codes,
    },
  ],
  endpoints: {
    // No keys: a second POST is a second order.
    'POST /admin/api/{version}/orders.json': { idempotency: 'unsafe', source: SHOPIFY_DOCS.rest },
    'POST /admin/api/{version}/customers.json': { idempotency: 'unsafe', source: SHOPIFY_DOCS.rest },
    'POST /admin/api/{version}/products.json': { idempotency: 'unsafe', source: SHOPIFY_DOCS.rest },
    'POST /admin/api/{version}/orders/{orderId}/refunds.json': { idempotency: 'unsafe', source: SHOPIFY_DOCS.rest },
    // Sets a level; `adjust` beside it changes by a difference.
    'POST /admin/api/{version}/inventory_levels/set.json': BY_ID,
    'POST /admin/api/{version}/inventory_levels/connect.json': BY_ID,
    'POST /admin/api/{version}/inventory_levels/adjust.json': { idempotency: 'unsafe' },
    // A refund is only computed.
    'POST /admin/api/{version}/orders/{orderId}/refunds/calculate.json': BY_ID,
  },
  redact: ['phone', 'address1', 'address2', 'zip', 'latitude', 'longitude', 'client_secret', 'access_token'],
}
