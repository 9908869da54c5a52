/** `order` and `supersede` of steps: whose turn an item takes, decided when its record is accepted (R116). */
import { HoldfastError, isHoldfastError, messageOf } from '../core/errors.ts'
import { storedVersion } from '../core/version.ts'
import type { NewTurn } from '../ledger/port.ts'

/** What is known of a record when it is accepted. No step has run yet, so there are no outputs. */
export interface AcceptedRecord<Input = unknown> {
  readonly input: Input
  readonly key: string
  readonly labels: Readonly<Record<string, string>>
  readonly tenant: string
  readonly runId: string
}

type FromRecord<Input, Value> = (record: AcceptedRecord<Input>) => Value | Promise<Value>

/** Names what has an order: a product, a customer. A text or a number; up to 500 characters. */
export type EntityName<Input> = FromRecord<Input, string | number>

/** Items of a step that are about the same entity are worked on one at a time, as they were accepted. */
export type StepOrder<Input> =
  | EntityName<Input>
  | {
      readonly by: EntityName<Input>
      /**
       * What a dead letter that waits for a person means for those behind it. `continue`: they go on, and it goes after them
       * when it is replayed. `hold`: they wait until it is replayed or discarded. Default `continue`.
       */
      readonly afterDeadLetter?: 'continue' | 'hold'
    }

/** Of the items of a step that are about the same entity only the newest counts; they are in order, too. */
export interface StepSupersede<Input> {
  readonly by: EntityName<Input>
  /**
   * Numbers from 0 up, their digits as text, times with a zone, dates. Default: who is accepted later is newer; so are equal
   * versions, and those of different kinds.
   */
  readonly version?: FromRecord<Input, number | string | Date>
}

/** A step, as far as its order goes. */
export interface OrderedStep {
  // biome-ignore lint/suspicious/noExplicitAny: variance of the user's types ends here
  readonly order?: StepOrder<any>
  // biome-ignore lint/suspicious/noExplicitAny: variance of the user's types ends here
  readonly supersede?: StepSupersede<any>
}

/** @throws HoldfastError `entity_missing`, `version_invalid`, or what the step's own function threw */
export type TurnOf = (record: AcceptedRecord) => Promise<NewTurn>

const LONGEST_NAME = 500

/** `undefined` where the step has no order. */
export function turnOfStep(pipeline: string, step: string, { order, supersede }: OrderedStep): TurnOf | undefined {
  const series = `${pipeline}.${step}`
  if (supersede) {
    const { by, version } = supersede
    return async (record) => ({
      series,
      entity: await entityOf(series, 'supersede.by', by, record),
      rule: 'supersede',
      ...(version && { version: storedVersion(await given(series, 'supersede.version', version, record)) }),
    })
  }
  if (!order) return undefined
  const { by, afterDeadLetter = 'continue' } = typeof order === 'function' ? { by: order } : order
  return async (record) => ({
    series,
    entity: await entityOf(series, 'order', by, record),
    rule: afterDeadLetter,
  })
}

async function entityOf(
  series: string,
  option: string,
  by: EntityName<unknown>,
  record: AcceptedRecord,
): Promise<string> {
  const name: unknown = await given(series, option, by, record)
  if (typeof name === 'number' && Number.isFinite(name)) return String(name)
  if (typeof name === 'string' && name !== '' && name.length <= LONGEST_NAME) return name
  const what = typeof name === 'string' && name !== '' ? `${name.length} characters` : JSON.stringify(name ?? null)
  throw new HoldfastError({
    code: 'entity_missing',
    class: 'validation',
    message: `"${option}" of ${series} names no entity for this record: it gave ${what}`,
    userMessage: 'The data is not complete or not valid.',
    hint: `It must give a text (up to ${LONGEST_NAME} characters) or a number: correct the record and replay it, or change the pipeline.`,
  })
}

async function given<Value>(
  series: string,
  option: string,
  read: FromRecord<unknown, Value>,
  record: AcceptedRecord,
): Promise<Value> {
  try {
    return await read(record)
  } catch (error) {
    if (isHoldfastError(error)) throw error
    throw new HoldfastError({
      code: 'order_failed',
      class: 'validation',
      message: `"${option}" of ${series} failed for this record: ${messageOf(error)}`,
      hint: 'Correct the record and replay it, or change the function.',
      cause: error,
    })
  }
}
