/** What the statuses of Shopify mean, in REST as in GraphQL. */
import type { FactSource, ProfileRule } from '../../../config/profile-rule.ts'

const READ = { read: '2026-11-22' } as const
export const SHOPIFY_DOCS = {
  codes: { url: 'https://shopify.dev/docs/api/usage/response-codes', ...READ, certainty: 'vendor' },
  rest: { url: 'https://shopify.dev/docs/api/admin-rest', ...READ, certainty: 'vendor' },
  restLimits: {
    url: 'https://shopify.dev/docs/api/admin-rest/usage/rate-limits',
    ...READ,
    certainty: 'second_hand',
  },
  graphqlLimits: {
    url: 'https://shopify.dev/docs/apps/build/apis/graphql-admin/rate-limits',
    ...READ,
    certainty: 'second_hand',
  },
  graphql: { url: 'https://shopify.dev/docs/api/admin-graphql', ...READ, certainty: 'second_hand' },
  idempotency: { url: 'https://shopify.dev/docs/api/usage/idempotent-requests', ...READ, certainty: 'vendor' },
} as const satisfies Record<string, FactSource>

export const shopifyStatusRules: readonly ProfileRule[] = [
  {
    // Not a limit: what looks like an attack is refused, and more of it makes it worse.
    id: 'looks-malicious',
    status: 430,
    class: 'authorization',
    certainty: 'not_sent',
    reportAs: 'security_rejection',
    hint: 'Shopify takes these calls for an attack. Stop the lane, look at what it sends (many checkouts, guesses, one customer over and over), slow down, and talk to its support before going on.',
    source: SHOPIFY_DOCS.codes,
  },
  {
    id: 'shop-frozen',
    status: 402,
    class: 'authorization',
    reportAs: 'shop_frozen',
    hint: "The shop is frozen until its owner pays the bill in the shop's admin. Replay the group then.",
    userMessage: 'This shop is not active at the moment.',
    source: SHOPIFY_DOCS.codes,
  },
  {
    // Elsewhere a lock passes; here somebody has to lift it.
    id: 'shop-locked',
    status: 423,
    class: 'authorization',
    reportAs: 'shop_locked',
    hint: 'Shopify has locked the shop, because of too many calls or a security concern: its owner has to talk to Shopify. Replay the group then.',
    userMessage: 'This shop is not active at the moment.',
    source: SHOPIFY_DOCS.codes,
  },
  {
    id: 'token-refused',
    status: 401,
    class: 'authentication',
    reportAs: 'token_refused',
    hint: 'The token of this shop is wrong, has expired, or the app was uninstalled: renew it, or have the shop install the app again.',
    source: SHOPIFY_DOCS.codes,
  },
  {
    id: 'scope-missing',
    status: 403,
    class: 'authorization',
    hint: 'The app was not granted the access scope (write_orders, read_customers and the like), or needs approval for protected customer data. A new scope needs a new consent of the shop.',
    source: SHOPIFY_DOCS.codes,
  },
]
