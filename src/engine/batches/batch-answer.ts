/** What the answer to a call with several records says of each: by the step's own `split`, or by the shape. */
import { type Judge, judgeAnswer, withoutEchoes } from '../../client/attempt/attempt.ts'
import type { Answer } from '../../client/call/call.ts'
import { readAnswer, whyMalformed } from '../../client/call/incoming.ts'
import { messageOf } from '../../core/errors.ts'
import { type Json, toJson } from '../../core/json.ts'
import { type RecordVerdict, readBatchAnswer } from '../../policy/batches/batch-answer.ts'
import type { BatchMember, RecordResult, StepContext } from '../pipelines/pipeline.ts'
import type { Member } from './batch-members.ts'

export interface BatchJudge {
  readonly judge: Judge
  /** One verdict per member; `undefined` where the answer was judged as a whole. */
  told(): readonly RecordVerdict[] | undefined
}

/**
 * An answer that tells of its records is a call that worked, whatever became of them: the breaker counts it once, and rules for
 * whole answers do not see the codes of single records.
 */
export function createBatchJudge(members: readonly Member[]): BatchJudge {
  let told: readonly RecordVerdict[] | undefined
  return {
    told: () => told,
    async judge(call, parts, received) {
      const raw = withoutEchoes(call, parts, received)
      const read = readAnswer(raw)
      const isMalformed = raw.status < 300 && whyMalformed(call, raw, read) !== undefined
      if (isMalformed || tellsOfAllOrNone(members)) {
        const judged = await judgeAnswer(call, parts, raw)
        if (judged.failure) return judged
      }
      const { status, headers } = raw
      const answer: Answer = { status, headers, data: read.json === undefined ? read.text || undefined : read.json }
      told = await tell(members, answer)
      if (!told) return judgeAnswer(call, parts, raw)
      return { answer }
    },
  }
}

function tellsOfAllOrNone(members: readonly Member[]): boolean {
  const batch = members[0]?.plan.batch
  return batch?.split === undefined && batch?.shape?.answer.lists.length === 0
}

async function tell(members: readonly Member[], answer: Answer): Promise<readonly RecordVerdict[] | undefined> {
  const batch = members[0]?.plan.batch
  if (batch?.split) return answer.status < 300 ? splitByStep(batch.split, members, answer) : undefined
  if (!batch?.shape) return undefined
  const records = members.map((member) => member.record)
  return readBatchAnswer(batch.shape.answer, records, { ...answer, data: answer.data as Json | undefined })
}

type Split = NonNullable<Member['plan']['batch']['split']>

/** The step's own code may fail or miscount: then the answer tells nothing, and nothing is guessed. */
async function splitByStep(
  split: Split,
  members: readonly Member[],
  answer: Answer,
): Promise<readonly RecordVerdict[] | undefined> {
  try {
    const results = await split(answer, members.map(toBatchMember))
    if (results === undefined) return undefined
    if (results.length === members.length) return results.map((result) => verdictOf(result, answer))
    return untold(members, `\`batch.split\` gave ${results.length} results for ${members.length} records`)
  } catch (thrown) {
    return untold(members, `\`batch.split\` failed: ${messageOf(thrown)}`)
  }
}

function untold(members: readonly Member[], why: string): RecordVerdict[] {
  return members.map(() => ({ kind: 'untold', why }))
}

function verdictOf(result: RecordResult, { status, headers }: Answer): RecordVerdict {
  switch (result.outcome) {
    case 'succeeded':
      return { kind: 'succeeded', data: JSON.parse(toJson(result.data ?? null)) as Json }
    case 'failed': {
      const { code, message, field, retryAfterMs } = result
      const body = { ...(code && { code }), ...(message && { message }), ...(field && { field }) }
      const wait = retryAfterMs === undefined ? {} : { 'retry-after': String(Math.ceil(retryAfterMs / 1000)) }
      return {
        kind: 'failed',
        failure: { status: result.status ?? 400, headers: { ...headers, ...wait }, body, paths: NO_PATHS },
      }
    }
    case 'rolled_back':
      return { kind: 'rolled_back', failure: { status, headers, body: null, paths: NO_PATHS } }
    case 'unknown':
      return { kind: 'untold', why: '`batch.split` cannot tell' }
  }
}

const NO_PATHS = { code: [], message: [], field: [] }

export function toBatchMember({ record, context }: Member): BatchMember<StepContext> {
  return { record, context }
}
