/** Several records in one call: the body, as the shape says. Pure. */
import type { BatchEnvelope, GraphqlEnvelope, ListEnvelope } from '../../config/batch-shapes.ts'
import { HoldfastError } from '../../core/errors.ts'
import { isJsonObject, type Json } from '../../core/json.ts'

/** The name of a record within its call. Letters first: some APIs refuse anything else. */
export function markOf(place: number): string {
  return `r${place}`
}

/**
 * The body of a call with these records.
 * @throws HoldfastError `record_not_an_object`, `not_a_graphql_record`: a record cannot stand in such a call.
 */
export function batchBody(envelope: BatchEnvelope, records: readonly Json[]): Json {
  return envelope.kind === 'graphql' ? graphqlBody(envelope, records) : listBody(envelope, records)
}

function listBody({ at, fixed, mark }: ListEnvelope, records: readonly Json[]): Json {
  const list = mark === undefined ? records : records.map((record, place) => marked(record, mark, place))
  if (at === '') return list
  return at.split('.').reduceRight<Json>((inner, name, depth) => ({ ...(depth === 0 && fixed), [name]: inner }), list)
}

function marked(record: Json, mark: string, place: number): Json {
  if (!isJsonObject(record)) {
    throw unfit('record_not_an_object', `a record must be an object, because the call names it in "${mark}"`)
  }
  return { ...record, [mark]: markOf(place) }
}

interface GraphqlRecord {
  readonly field: string
  readonly variables: { readonly [name: string]: { readonly type: string; readonly value: Json } }
}

/** Each record's variables get a name of their own, so that values stay values and never become text of the document. */
function graphqlBody({ operation }: GraphqlEnvelope, records: readonly Json[]): Json {
  const declared: string[] = []
  const fields: string[] = []
  const values: Record<string, Json> = {}
  for (const [place, record] of records.entries()) {
    const { field, variables } = graphqlRecord(record)
    const alias = markOf(place)
    for (const [name, { type, value }] of Object.entries(variables)) {
      declared.push(`$${alias}_${name}: ${type}`)
      values[`${alias}_${name}`] = value
    }
    fields.push(`${alias}: ${field.replace(VARIABLE, (_, name: string) => `$${alias}_${name}`)}`)
  }
  const declarations = declared.length > 0 ? `(${declared.join(', ')})` : ''
  return { query: `${operation}${declarations} { ${fields.join(' ')} }`, variables: values }
}

const VARIABLE = /\$([A-Za-z_]\w*)/g
const VARIABLE_NAME = /^[A-Za-z_]\w*$/
/** `ContactInput!`, `[ID!]!` */
const TYPE = /^[\w![\]]+$/

function graphqlRecord(record: Json): GraphqlRecord {
  const { field, variables = {} } = isJsonObject(record) ? record : {}
  const fits =
    typeof field === 'string' &&
    isJsonObject(variables) &&
    Object.entries(variables).every(([name, variable]) => VARIABLE_NAME.test(name) && isVariable(variable))
  if (fits) return record as unknown as GraphqlRecord & typeof record
  throw unfit(
    'not_a_graphql_record',
    "a record must be { field: 'create(input: $input) { id }', variables: { input: { type: 'Input!', value: ... } } }",
  )
}

function isVariable(variable: Json): boolean {
  return isJsonObject(variable) && typeof variable['type'] === 'string' && TYPE.test(variable['type'])
}

function unfit(code: string, message: string): HoldfastError {
  return new HoldfastError({
    code,
    class: 'configuration',
    message: `It cannot stand in a batch: ${message}`,
    hint: "Correct the step's `request.body`, which gives the record as the call has it, then replay.",
  })
}
