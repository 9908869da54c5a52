/** Judges one record of a batch by the rules that judge whole answers (R121). */
import type { Failure } from '../../core/failure.ts'
import { type CallFacts, type ClassificationSettings, classifyAnswer, isRepeatable } from '../classify/classify.ts'
import { effectOf } from '../classify/classify-shared.ts'
import { CLASS_WORDS } from '../explain-words.ts'
import type { RecordRefusal } from './batch-answer.ts'

/** `undefined`: a rule of the integration calls it success. */
export function classifyRecord(
  call: CallFacts,
  refusal: RecordRefusal,
  settings: ClassificationSettings,
  receivedAtMs: number,
): Failure | undefined {
  const { status, headers, body, paths } = refusal
  const { errorPaths } = settings
  return classifyAnswer(
    call,
    { status, headers, body, bodyText: typeof body === 'string' ? body : '', receivedAtMs },
    {
      ...settings,
      errorPaths: {
        code: [...paths.code, ...errorPaths.code],
        message: [...paths.message, ...errorPaths.message],
        field: [...paths.field, ...errorPaths.field],
      },
    },
  )
}

/** The call was answered, and the answer does not say what became of the record: it may have happened (rule 3). */
export function classifyUntold(call: CallFacts, status: number, why: string): Failure {
  const words = CLASS_WORDS.malformed_response
  return {
    class: 'malformed_response',
    code: 'record_not_told',
    message: `${call.endpoint} was answered ${status} for several records, but ${why}`,
    userMessage: words.userMessage,
    certainty: effectOf(call, 'maybe_applied'),
    hint: "Compare the answer with the step's `batch.shape`; look in the other system what became of the record.",
    rule: 'default:batch answer without this record (R121)',
    status,
    maxRetries: isRepeatable(call.idempotency) ? 2 : 0,
    countsAgainstBreaker: false,
  }
}
