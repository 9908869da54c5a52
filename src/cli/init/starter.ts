/** The files that `holdfast init` makes: small, working, and explained where they stand. */
import { stringify } from 'yaml'
import { configurationError } from '../../core/errors.ts'

export interface Answers {
  readonly integration: string
  readonly baseUrl: string
}

export interface StarterFile {
  readonly name: string
  readonly text: string
}

/** @throws HoldfastError `cancelled` */
export async function askForAnswers(defaults: Answers): Promise<Answers> {
  const { isCancel, text } = await import('@clack/prompts')
  const ask = async (message: string, initialValue: string): Promise<string> => {
    const answer = await text({ message, initialValue, output: process.stderr })
    if (!isCancel(answer)) return answer
    throw configurationError('cancelled', 'Nothing was made', 'Run `holdfast init` again, or use its options.')
  }
  const integration = await ask('Name of the API?', defaults.integration)
  const baseUrl = await ask('Its base URL? (the default is an imitation on this machine)', defaults.baseUrl)
  return { integration, baseUrl }
}

export function starterFiles(answers: Answers): StarterFile[] {
  return [
    { name: 'holdfast.yaml', text: configuration(answers) },
    { name: 'twin.yaml', text: TWIN },
    { name: 'contacts.csv', text: RECORDS },
  ]
}

function configuration({ integration, baseUrl }: Answers): string {
  const name = scalar(integration)
  return `# What can be written here, and what holds where nothing is written: see the documentation.
store: sqlite:./holdfast.db            # the ledger: every record, every attempt

integrations:
  ${name}:
    baseUrl: ${scalar(baseUrl)}
    # auth: { type: bearer, token: "\${API_TOKEN}" }   # from the environment, never written here
    preset: crm                        # crm | enrichment | sequencer | realtime
    limits: { rate: 20/s, concurrency: 5 }

pipelines:
  create-contacts:
    steps:
      create:
        integration: ${name}
        request:
          method: POST
          path: /contacts
          body: { email: "{{ input.email }}", name: "{{ input.name }}" }
        # A lost answer is never followed by a blind second POST: it is looked up first.
        reconcile:
          request: { method: GET, path: /contacts, query: { email: "{{ input.email }}" } }
          found: "{{ answer.data.results[email = $$.input.email][0] }}"
        output: "{{ answer.data.id }}"
`
}

/** As YAML writes it, quoted where it must be. */
function scalar(text: string): string {
  return stringify(text).trimEnd()
}

const TWIN = `# An imitation of an API that fails on purpose: \`holdfast twin twin.yaml --port 4801\`
name: contacts
resources:
  - path: /contacts
    required: [email, name]
    effectKey: email                   # counts whether anything was done twice
    rateLimit: { rate: 20/s }
faults:
  - { fault: status, status: 503, probability: 0.1 }
  - { fault: executed_then_reset, route: POST /contacts, probability: 0.1 }   # done, but the answer is lost
  - { fault: html_ok, route: GET /contacts, probability: 0.05 }
`

const RECORDS = `email,name
ada@example.com,Ada Lovelace
grace@example.com,Grace Hopper
katherine@example.com,Katherine Johnson
edsger@example.com,Edsger Dijkstra
,No Address
`
