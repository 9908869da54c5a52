import { macScheme } from '../mac-scheme.ts'

/**
 * Shopify, "Verify webhook deliveries": the key is the client secret of the app. Subscriptions to several topics share the id
 * of an event, so the topic belongs to it (facts.md section 3).
 */
export const shopify = macScheme({
  headers: ['x-shopify-hmac-sha256', 'shopify-hmac-sha256'],
  encoding: 'base64',
  event: {
    id: [
      [{ header: 'x-shopify-event-id' }, { header: 'x-shopify-topic' }],
      [{ header: 'x-shopify-webhook-id' }],
      [{ header: 'shopify-event-id' }, { header: 'shopify-topic' }],
      [{ header: 'shopify-webhook-id' }],
    ],
    type: [{ header: 'x-shopify-topic' }, { header: 'shopify-topic' }],
  },
})
