/** As much of GraphQL as a store needs: the fields at the top of a document, and the values they were given. */
import { isJsonObject, type Json } from '../../core/json.ts'
import type { BatchRecord } from './batch-writer.ts'

export interface GraphqlField {
  /** Its alias, else its name: under which the answer tells of it. */
  readonly alias: string
  /** `customerCreate` */
  readonly name: string
  /** By the name of the argument: what its variable stands for. */
  readonly values: { readonly [argument: string]: Json }
}

export interface GraphqlDocument {
  readonly operation: 'mutation' | 'query'
  readonly fields: readonly GraphqlField[]
}

const FIELD = /(?:([A-Za-z_]\w*)\s*:\s*)?([A-Za-z_]\w*)\s*(\([^()]*\))?/y
const VARIABLE = /([A-Za-z_]\w*)\s*:\s*\$([A-Za-z_]\w*)/g

/** `undefined` for what is no document. */
export function parseGraphql(body: unknown): GraphqlDocument | undefined {
  const query = isJsonObject(body) ? body['query'] : undefined
  if (!isJsonObject(body) || typeof query !== 'string') return undefined
  const variables = isJsonObject(body['variables']) ? body['variables'] : {}
  const open = query.indexOf('{')
  if (open < 0) return undefined
  const operation = /^\s*mutation\b/.test(query) ? 'mutation' : 'query'
  return { operation, fields: topFields(query, open + 1, variables) }
}

function topFields(query: string, from: number, variables: { readonly [name: string]: Json }): GraphqlField[] {
  const fields: GraphqlField[] = []
  let at = from
  while (at < query.length && query[at] !== '}') {
    FIELD.lastIndex = at
    const match = FIELD.exec(query)
    if (match) {
      const [, alias, name = '', given = ''] = match
      const pairs = [...given.matchAll(VARIABLE)].map(([, argument = '', variable = '']) => [
        argument,
        variables[variable] ?? null,
      ])
      fields.push({ alias: alias ?? name, name, values: Object.fromEntries(pairs) })
      at = FIELD.lastIndex
    } else {
      at = query[at] === '{' ? endOfSelection(query, at) : at + 1
    }
  }
  return fields
}

function endOfSelection(query: string, open: number): number {
  let depth = 0
  for (let at = open; at < query.length; at++) {
    if (query[at] === '{') depth += 1
    else if (query[at] === '}') depth -= 1
    if (depth === 0) return at + 1
  }
  return query.length
}

/** Each field at the top is a record; what it was given is what was sent. */
export function graphqlRecords(body: unknown): readonly BatchRecord[] | undefined {
  return parseGraphql(body)?.fields.map(({ alias, name, values }) => ({
    mark: alias,
    sent: { field: name, ...values },
  }))
}
