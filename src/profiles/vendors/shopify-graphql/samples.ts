import type { ProfileSamples } from '../../../config/profile.ts'
import type { RuleSample } from '../../../config/profile-rule.ts'
import type { Json } from '../../../core/json.ts'
import { shopifyStatusSamples } from '../shopify/samples.ts'

const path = '/admin/api/{version}/graphql.json'

function cost(requested: number, available: number): Json {
  return {
    cost: {
      requestedQueryCost: requested,
      actualQueryCost: null,
      throttleStatus: { maximumAvailable: 2000, currentlyAvailable: available, restoreRate: 100 },
    },
  }
}

function refusal(code: string, message: string, data: Json = null): RuleSample {
  const body: Json = { errors: [{ message, extensions: { code } }], data, extensions: cost(12, 1988) }
  return { status: 200, path, body }
}

function userErrors(mutation: string, ...errors: readonly Json[]): RuleSample {
  return { status: 200, path, body: { data: { [mutation]: { userErrors: [...errors] } }, extensions: cost(10, 1990) } }
}

const throttled: Json = {
  errors: [
    {
      message: 'Throttled',
      extensions: { code: 'THROTTLED', documentation: 'https://shopify.dev/api/usage/rate-limits' },
    },
  ],
  extensions: cost(752, 431),
}

export const shopifyGraphqlSamples: ProfileSamples = {
  ...shopifyStatusSamples,
  throttled: [
    { status: 200, path, body: throttled },
    { status: 429, path, body: throttled, note: 'As some clients report it.' },
  ],
  limited: [{ status: 429, path, headers: { 'retry-after': '2.0' }, body: { errors: 'Too many requests' } }],
  'query-too-expensive': [
    refusal('MAX_COST_EXCEEDED', 'Query cost is 2402, which exceeds the single query max cost limit (1000).'),
  ],
  'failed-inside': [
    refusal(
      'INTERNAL_SERVER_ERROR',
      'Internal error. Looks like something went wrong on our end. Request ID: sample-1',
      {
        productUpdate: null,
      },
    ),
    refusal('TIMEOUT', 'Timeout'),
  ],
  'access-denied': [
    refusal('ACCESS_DENIED', 'Access denied for orders field. Required access: `read_orders` access scope.', {
      orders: null,
    }),
  ],
  'shop-inactive': [refusal('SHOP_INACTIVE', 'The shop is not active.')],
  'idempotency-under-way': [
    userErrors('inventoryAdjustQuantities', {
      field: null,
      message: 'Another request with this idempotency key is being processed.',
      code: 'IDEMPOTENCY_CONCURRENT_REQUEST',
    }),
  ],
  'idempotency-key-reused': [
    userErrors('inventoryAdjustQuantities', {
      field: null,
      message: 'The idempotency key was used with other parameters.',
      code: 'IDEMPOTENCY_KEY_PARAMETER_MISMATCH',
    }),
  ],
  'value-taken': [
    userErrors('discountCodeBasicCreate', {
      field: ['basicCodeDiscount', 'code'],
      message: 'Code must be unique. Please try a different code.',
      code: 'TAKEN',
    }),
  ],
  'value-taken-by-message': [
    userErrors('customerCreate', { field: ['email'], message: 'Email has already been taken' }),
  ],
  'refused-by-mutation': [
    userErrors('productCreate', { field: ['title'], message: "Title can't be blank" }),
    userErrors('orderUpdate', { field: ['id'], message: 'Order does not exist', code: 'NOT_FOUND' }),
  ],
  'query-wrong': [
    {
      status: 200,
      path,
      body: {
        errors: [
          {
            message: "Field 'titel' doesn't exist on type 'Product'",
            path: ['query', 'product', 'titel'],
            extensions: { code: 'undefinedField', typeName: 'Product', fieldName: 'titel' },
          },
        ],
      },
    },
  ],
  'call-failed': [
    {
      status: 200,
      path,
      body: { data: { product: null }, errors: [{ message: 'Could not be resolved', path: ['product'] }] },
    },
  ],
}
