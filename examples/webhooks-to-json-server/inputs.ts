/** The records of the example: real webhook payloads of GitHub, and a list of contacts as people send them around. */
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

export interface WebhookEvent {
  /** What GitHub sends as X-GitHub-Delivery: equal when it sends the same event again. */
  readonly deliveryId: string
  readonly event: string
  readonly payload: unknown
}

interface PublishedExamples {
  readonly name: string
  readonly examples: readonly unknown[]
}

/** The 329 payloads that Octokit publishes for tests. */
export function webhookEvents(): WebhookEvent[] {
  const published = createRequire(import.meta.url)('@octokit/webhooks-examples') as readonly PublishedExamples[]
  return published.flatMap(({ name, examples }) =>
    examples.map((payload, index) => ({ deliveryId: deliveryIdOf(`${name} ${index}`), event: name, payload })),
  )
}

/** The examples come without their headers, so each gets an id that stays the same. */
function deliveryIdOf(name: string): string {
  const hex = createHash('sha256').update(name).digest('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-')
}

const NAMES = ['Ada Lovelace', 'Grace Hopper', 'Zoë Müller', 'Katherine Johnson', 'José "Pepe" Núñez', "Sinéad O'Brien"]
const COMPANIES = ['Acme', 'Globex, Inc.', 'Initech', 'Hooli']

export const GOOD_CONTACTS = 40
/** Lines of the CSV that hold no usable record. */
export const BAD_LINES = [12, 23, 34, 45] as const

/** Forty good rows; among them a quote that nobody closed, a row that is too short, one without its key, and a contradiction. */
export function contactsCsv(): string {
  const lines = ['email,name,company']
  const bad = new Map<number, string>([
    [BAD_LINES[0], 'unclosed@example.com,"Nobody closed this,Acme'],
    [BAD_LINES[1], 'short@example.com,Too Short'],
    [BAD_LINES[2], ',No Address,Acme'],
    [BAD_LINES[3], 'contact.0@example.com,Somebody Else,Acme'],
  ])
  for (let index = 0; index < GOOD_CONTACTS; index++) {
    const name = NAMES[index % NAMES.length] as string
    const company = COMPANIES[index % COMPANIES.length] as string
    lines.push([`contact.${index}@example.com`, name, company].map(csvField).join(','))
    const wrong = bad.get(lines.length + 1)
    if (wrong !== undefined) lines.push(wrong)
  }
  return `${lines.join('\n')}\n`
}

function csvField(value: string): string {
  return /[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value
}

/** Writes `events.jsonl` and `contacts.csv`. */
export function writeInputs(folder: string): void {
  const events = webhookEvents().map((event) => JSON.stringify(event))
  writeFileSync(join(folder, 'events.jsonl'), `${events.join('\n')}\n`)
  writeFileSync(join(folder, 'contacts.csv'), contactsCsv())
}
