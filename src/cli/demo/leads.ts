/** The demo's records: 4,000 leads, the same every time; twelve lack their company, and the CRM knows one already. */
import type { z } from 'zod'
import { seededRandom } from '../../core/random.ts'
import type { leadSchema } from './pipeline.ts'

export type Lead = z.infer<typeof leadSchema>

export const INVALID_LEADS = 12
export const KNOWN_EMAIL = 'ada.lovelace.0@example.com'

const FIRST_NAMES = ['Ada', 'Grace', 'Alan', 'Edsger', 'Barbara', 'Donald', 'Radia', 'Tony', 'Leslie', 'Margaret']
const LAST_NAMES = [
  'Lovelace',
  'Hopper',
  'Turing',
  'Dijkstra',
  'Liskov',
  'Knuth',
  'Perlman',
  'Hoare',
  'Lamport',
  'Hamilton',
]
const COMPANIES = ['Acme', 'Globex', 'Initech', 'Umbrella', 'Hooli', 'Stark', 'Wayne', 'Wonka']
const SOURCES = ['webinar', 'trial', 'referral'] as const

export function demoLeads(count: number): Lead[] {
  const random = seededRandom('holdfast demo leads')
  const pick = <Value>(list: readonly Value[]): Value => list[Math.floor(random.next() * list.length)] as Value
  const every = Math.max(1, Math.floor(count / INVALID_LEADS))
  return Array.from({ length: count }, (_, index) => {
    const first = index === 0 ? 'Ada' : pick(FIRST_NAMES)
    const last = index === 0 ? 'Lovelace' : pick(LAST_NAMES)
    const invalid = index % every === Math.floor(every / 2) && Math.floor(index / every) < INVALID_LEADS
    return {
      email: `${first}.${last}.${index}@example.com`.toLowerCase(),
      name: `${first} ${last}`,
      ...(!invalid && { company: pick(COMPANIES) }),
      source: pick(SOURCES),
    }
  })
}
