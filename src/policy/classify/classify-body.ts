/**
 * Reads error bodies of any shape (R024): machine codes, human messages, blamed fields, named scopes. Never throws, follows
 * only own members, and looks at a bounded number of values, whatever the API sent.
 */
import type { Json } from '../../core/json.ts'
import { redactText } from '../redact.ts'
import type { AnswerFacts, ClassificationSettings } from './classify.ts'
import { jsonAt, MOST_VALUES } from './json-path.ts'

export interface BodyFacts {
  /** Machine codes, the most telling first; words that say nothing ("error", the status itself) are left out. */
  readonly codes: readonly string[]
  /** Human messages, joined; at most 4,000 characters. Empty where there is none. */
  readonly message: string
  /** Fields that the body blames, at most five, joined with `, `. */
  readonly subject: string | undefined
  readonly requestId: string | undefined
}

/** Where the envelopes of facts.md section 2 keep their codes. Asked after the integration's own paths. */
const CODE_PATHS = [
  'error.code',
  'error.errors[].reason',
  'error.details[].reason',
  'error.type',
  'error.status',
  'errors[].code',
  'errors[].errorCode',
  'errors[].extensions.code',
  'errors[].type',
  '[].errorCode',
  '[].code',
  'errorCode',
  'error_code',
  'code',
  'subCategory',
  'category',
  'errorType',
  'error',
  'type',
]
const MESSAGE_PATHS = [
  'error.message',
  'error.title',
  'error.detail',
  'error_description',
  'message',
  'detail',
  'title',
  'description',
  'errorMessage',
  'error_message',
  'errors[].message',
  'errors[].detail',
  'errors[].title',
  'errors[].error',
  'detail[].msg',
  '[].message',
  'errors[]',
  'errors.*',
  'errors.*.*',
  'error',
  'errors',
  'fault.faultstring',
]
const FIELD_PATHS = [
  'error.param',
  'error.field',
  'errors[].field',
  'errors[].fields[]',
  'errors[].source.pointer',
  'errors[].source.parameter',
  'errors[].path',
  'errors[].property',
  'errors[].context.propertyName[]',
  'errors[].param',
  'error.details[].path',
  'error.details[].field',
  'error.details.path',
  'error.details.field',
  'error.errors[].field',
  'details[].path',
  'details[].field',
  'detail[].loc',
  '[].fields[]',
  'details.{field}',
  'errors.{field}',
  'field',
  'param',
]
const SCOPE_PATHS = [
  'needed',
  'errors[].context.requiredGranularScopes[]',
  'errors[].context.requiredScopes[]',
  'context.requiredScopes[]',
  'error.required_scopes[]',
  'error.required_scope',
  'error.missing_scopes[]',
  'required_scopes[]',
  'required_scope',
  'missing_scopes[]',
  'missing_scope',
  'error.scope',
  'scope',
]
const REQUEST_ID_PATHS = ['request_id', 'requestId', 'correlationId', 'error.request_id', 'error.requestId']

/** Values of code fields that name no cause. */
const EMPTY_CODES = new Set([
  'error',
  'error.list',
  'errors',
  'fail',
  'failed',
  'failure',
  'ok',
  'true',
  'false',
  'about:blank',
])
const CODE_LIKE = /^[\w.:/#-]{1,100}$/
const LONGEST_TEXT = 4000
const LONGEST_VALUE = 1000

export function readErrorBody(answer: AnswerFacts, settings: Pick<ClassificationSettings, 'errorPaths'>): BodyFacts {
  const { body } = answer
  if (body === undefined || body === null || typeof body !== 'object') {
    return { codes: [], message: messageOfText(answer.bodyText), subject: undefined, requestId: undefined }
  }
  const { errorPaths } = settings
  const messages = firstFound(body, [...errorPaths.message, ...MESSAGE_PATHS], 'each')
  const fields = firstFound(body, [...errorPaths.field, ...FIELD_PATHS], 'joined')
  return {
    codes: codesOf(body, [...errorPaths.code, ...CODE_PATHS], answer.status),
    message: [...new Set(messages)].join('; ').slice(0, LONGEST_TEXT),
    subject: fields.length > 0 ? [...new Set(fields)].slice(0, 5).join(', ') : undefined,
    requestId: firstFound(body, REQUEST_ID_PATHS, 'each')[0],
  }
}

/** Scopes or permissions that the body says are needed. */
export function scopesInBody(body: Json | undefined): string[] {
  return body === undefined ? [] : firstFound(body, SCOPE_PATHS, 'each')
}

function codesOf(body: Json, paths: readonly string[], status: number): string[] {
  const found = new Set<string>()
  for (const path of paths) {
    for (const value of valuesAt(body, path, 'each')) {
      if (isTelling(value, status)) found.add(value)
    }
  }
  return [...found]
}

/** A code is stored and shown as it is, so what looks like a secret is none. */
function isTelling(value: string, status: number): boolean {
  if (!CODE_LIKE.test(value) || EMPTY_CODES.has(value.toLowerCase()) || value === String(status)) return false
  return redactText(value) === value
}

function firstFound(body: Json, paths: readonly string[], lists: ListReading): string[] {
  for (const path of paths) {
    const values = valuesAt(body, path, lists)
    if (values.length > 0) return values
  }
  return []
}

/** A list of texts at the end of a path: a value each, or one (`["body", "email"]` is the path `body.email`). */
type ListReading = 'each' | 'joined'

/** Texts and numbers at a dot path; see `json-path.ts`. */
export function valuesAt(body: Json, path: string, lists: ListReading): string[] {
  const found: string[] = []
  for (const value of jsonAt(body, path)) takeLeaf(value, lists, found)
  return found.slice(0, MOST_VALUES)
}

function takeLeaf(value: Json, lists: ListReading, found: string[]): void {
  if (typeof value === 'string' || typeof value === 'number') {
    const text = String(value).slice(0, LONGEST_VALUE).trim()
    if (text !== '') found.push(text)
  } else if (Array.isArray(value)) {
    const elements: readonly Json[] = value.slice(0, MOST_VALUES)
    const texts = elements.filter((element) => typeof element === 'string' || typeof element === 'number')
    if (lists === 'joined' && texts.length > 0) takeLeaf(texts.join('.'), lists, found)
    else if (lists === 'each') for (const text of texts) takeLeaf(text, lists, found)
  }
}

/** A body that is not JSON: an HTML page is told by its title, anything else by its beginning. */
function messageOfText(text: string): string {
  const beginning = text.slice(0, LONGEST_TEXT)
  if (!looksLikeHtml(beginning)) return beginning.replace(/\s+/g, ' ').trim()
  const title = /<title[^>]{0,200}>([^<]{1,200})/i.exec(beginning)?.[1]?.replace(/\s+/g, ' ').trim()
  return title ? `an HTML page: ${title}` : 'an HTML page'
}

export function looksLikeHtml(text: string): boolean {
  return /^\s{0,100}<(?:!doctype html|html|head|body|!--)/i.test(text.slice(0, 300))
}
