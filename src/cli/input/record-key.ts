/**
 * The key of a record: what makes running the same file again change nothing.
 *
 * Best is a key that the data itself brings (`--key email`). Without one, the key is made of the batch, the hash of the record
 * and, for the second and later of equal records, its number among them. So the same file run twice is known record by
 * record; so are its records when lines are added, removed or moved, which a line number would not survive (every later line
 * would be done twice). And two equal records in one file, two orders of the same thing, stay two operations, which a hash
 * alone would merge (D17). The batch is the scope: the same record in another batch is another operation.
 */
import { compileExpression, type Template } from '../../config/template.ts'
import { HoldfastError } from '../../core/errors.ts'
import { fingerprintOf } from '../../core/json.ts'
import { SeenRecords } from './seen-records.ts'

export type KeyOf = (record: unknown) => Promise<string>

/** @param by name of a field (dots go down), or an expression in `{{ }}` over the record. */
export function keyOfRecord(by: string | undefined, batch: string): KeyOf {
  if (by === undefined) return contentKey(batch)
  if (by.includes('{{')) return expressionKey(by, compileExpression(by))
  const path = by.split('.')
  return async (record) => usableKey(valueAt(record, path), by)
}

function contentKey(batch: string): KeyOf {
  const seen = new SeenRecords()
  return async (record) => {
    const fingerprint = fingerprintOf(record)
    const times = seen.count(fingerprint)
    return `${batch}:${fingerprint}${times === 1 ? '' : `#${times}`}`
  }
}

function expressionKey(by: string, template: Template): KeyOf {
  return async (record) => usableKey(await template(isObject(record) ? record : { record }), by)
}

function valueAt(record: unknown, path: readonly string[]): unknown {
  if (isObject(record) && Object.hasOwn(record, path.join('.'))) return record[path.join('.')]
  let value = record
  for (const part of path) {
    if (!isObject(value) || !Object.hasOwn(value, part)) return undefined
    value = value[part]
  }
  return value
}

function usableKey(value: unknown, by: string): string {
  const key = typeof value === 'number' ? String(value) : value
  if (typeof key === 'string' && key.trim() !== '') return key
  throw new HoldfastError({
    code: 'key_missing',
    class: 'validation',
    message: `the key (${by}) is ${value === undefined ? 'not there' : 'empty, or no text'}`,
    hint: 'Give every record a key, or leave --key out: then equal records are told apart by their place among equals.',
  })
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
