import { defineIntegration, definePipeline } from 'holdfast'

export const crm = defineIntegration('crm', { baseUrl: 'https://api.example.com/v1', limits: { concurrency: 10 } })

/** The CRM has no idempotency keys: after a lost answer, only looking tells whether the contact is there. */
export const signUp = definePipeline<{ email: string }>('sign-up').step('contact', {
  integration: 'crm',
  request: { method: 'POST', path: '/contacts', body: ({ input }) => input },
  reconcile: {
    request: { method: 'GET', path: '/contacts', query: ({ input }) => ({ email: input.email }) },
    match: ({ data }) => (data as { results: { id: string }[] }).results[0]?.id,
  },
})
