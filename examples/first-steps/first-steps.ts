import { definePipeline, holdfast } from 'holdfast'

const welcome = definePipeline<{ email: string }>('welcome')
  .step('score', { safe: true, run: ({ input }) => input.email.length })
  .step('crm', {
    after: ['score'],
    integration: 'crm',
    request: { method: 'PUT', path: '/contacts/{email}', params: ({ input }) => input, body: ({ outputs }) => outputs },
  })

await using hf = await holdfast({ integrations: { crm: { baseUrl: '${CRM_URL}' } }, pipelines: [welcome] })
hf.startWorker()
await hf.submit(welcome, { email: 'ada@example.com' }, { key: 'ada@example.com' })
console.log((await hf.drain()).states)
