/** The demo's pipeline: what a team would write for its own leads. */
import { z } from 'zod'
import { definePipeline } from '../../engine/pipelines/pipeline.ts'

export const leadSchema = z.object({
  email: z.email(),
  name: z.string(),
  company: z.string().optional(),
  source: z.enum(['webinar', 'trial', 'referral']),
})

const personSchema = z.object({ email: z.string(), title: z.string(), employees: z.number() })
const contactSchema = z.object({ id: z.string(), email: z.string() })
const contactListSchema = z.array(contactSchema)

export const onboardLead = definePipeline('onboard-lead', { input: leadSchema })
  .step('enrich', {
    integration: 'enrichment',
    request: { method: 'GET', path: '/people/{email}', params: ({ input }) => ({ email: input.email }) },
    response: personSchema,
    parse: (answer) => answer.data as z.infer<typeof personSchema>,
  })
  .step('score', {
    after: ['enrich'],
    safe: true,
    run: ({ input, outputs }) => {
      const bySource = { referral: 30, trial: 20, webinar: 10 }[input.source]
      return { score: Math.min(100, bySource + Math.round(Math.log2(1 + outputs.enrich.employees) * 6)) }
    },
  })
  .step('crm', {
    after: ['enrich', 'score'],
    integration: 'crm',
    // This CRM has no idempotency keys and no upsert: a repeated POST makes a second contact. So Holdfast never repeats one
    // blindly, and looks for the contact first whenever an answer was lost.
    request: {
      method: 'POST',
      path: '/contacts',
      body: ({ input, outputs }) => ({ ...input, title: outputs.enrich.title, score: outputs.score.score }),
    },
    response: contactSchema,
    parse: (answer) => answer.data as z.infer<typeof contactSchema>,
    reconcile: {
      request: { method: 'GET', path: '/contacts', query: ({ input }) => ({ email: input.email }) },
      match: (answer) => contactListSchema.parse(answer.data)[0],
    },
  })
  .step('sequencer', {
    after: ['score'],
    integration: 'sequencer',
    // This API honours an idempotency key, so a lost answer is simply asked for again.
    request: {
      method: 'POST',
      path: '/enrolments',
      body: ({ input, outputs }) => ({ email: input.email, sequence: outputs.score.score >= 60 ? 'hot' : 'warm' }),
    },
    idempotency: { kind: 'key', header: 'idempotency-key', lifetimeMs: 86_400_000 },
  })
