/** Stripe: payments, API versions 1 and 2. */
import type { Profile, ProfileEndpoint } from '../../../config/profile.ts'
import { STRIPE_DOCS, stripeRules } from './rules.ts'

/** Version 1 keeps keys for at least a day, and answers a repeat with what it answered first. */
const KEYED: ProfileEndpoint = {
  idempotency: { key: 'Idempotency-Key', lifetime: '24h' },
  source: STRIPE_DOCS.idempotency,
}
/** Version 2 does failed work again under the same key, for a month. */
const KEYED_V2: ProfileEndpoint = {
  idempotency: { key: 'Idempotency-Key', lifetime: '30d' },
  source: STRIPE_DOCS.idempotency,
}

export const stripe: Profile = {
  name: 'stripe',
  title: 'Stripe',
  docs: [
    'https://docs.stripe.com/api/errors',
    STRIPE_DOCS.errors.url,
    STRIPE_DOCS.limits.url,
    STRIPE_DOCS.idempotency.url,
  ],
  baseUrl: 'https://api.stripe.com',
  auth: {
    kinds: ['bearer', 'basic'],
    note: 'Secret and restricted keys do not renew themselves; test keys and live keys see different records.',
  },
  // Stripe's own clients wait this long: payments ask banks.
  timeouts: { headers: '80s', total: '85s' },
  errorPaths: {
    code: ['error.decline_code', 'error.code', 'error.type'],
    message: ['error.message'],
    field: ['error.param'],
  },
  rules: stripeRules,
  endpoints: {
    'POST /v1/*': KEYED,
    'POST /v2/*': KEYED_V2,
    'DELETE /v2/*': KEYED_V2,
  },
  redact: ['number', 'account_number', 'routing_number', 'iban', 'id_number', 'ssn_last_4', 'tax_id'],
}
