/** How each kind of stored text is encrypted anew, and what is left of it when it is erased. */
import type { Failure } from '../../core/failure.ts'
import { isJsonObject, type Json } from '../../core/json.ts'
import type { KeyRing } from '../../core/key-ring.ts'
import type { Cell, Rewrite } from '../recoding.ts'
import { type Codec, erasedJson, isErased, isMarked, keyIdsIn, keyNotHere } from './codec.ts'
import { inputOf, MEMO, mapFailure, OUTPUT } from './sealed-records.ts'

export const ERASED = 'erased'
/** Whose data a run holds, as a keyed hash. */
export const SUBJECT_LABEL = 'holdfast:subject'

/** What was encrypted with another key, or not at all, with the present one. Nothing else changes. */
export function encryptedAnew(codec: Codec, ring: KeyRing): Rewrite {
  return (cell) => {
    const { text } = cell
    if (text === '' || text === ERASED || isErased(text)) return undefined
    switch (cell.kind) {
      case 'input':
      case 'output':
      case 'memo':
        return anewJson(codec, ring, text, contextOf(cell))
      case 'text':
      case 'external_id':
        return anewText(codec, ring, text)
      case 'failure':
        return JSON.stringify(mapFailure(JSON.parse(text) as Failure, (part) => anewText(codec, ring, part)))
      case 'details':
        return JSON.stringify(anewText(codec, ring, detailsOf(text)))
      case 'fingerprint':
        return codec.keyed(text)
      default:
        return undefined
    }
  }
}

function anewJson(codec: Codec, ring: KeyRing, text: string, context: string): string | undefined {
  const keyIds = isMarked(text) ? keyIdsIn(text) : []
  if (keyIds.length > 0 && keyIds.every((id) => id === ring.keyId)) return undefined
  return codec.sealJson(codec.openJson(text, context), context)
}

/** @throws HoldfastError `encryption_key_unknown` */
function anewText(codec: Codec, ring: KeyRing, text: string): string {
  const missing = keyIdsIn(text).find((id) => !ring.keyIds.includes(id))
  if (missing !== undefined) throw keyNotHere(missing, ring.keyIds, 'A text in the store')
  return codec.sealText(codec.openText(text))
}

/** Details of an action: a mark is a JSON string, anything else is JSON in clear. */
function detailsOf(text: string): string {
  const value = JSON.parse(text) as Json
  return typeof value === 'string' ? value : text
}

function contextOf({ kind, runId }: Cell): string {
  if (kind === 'input') return inputOf(runId)
  return kind === 'output' ? OUTPUT : MEMO
}

export interface Erasing {
  readonly codec: Codec
  readonly atMs: number
  /** As it was given; labels that hold it go. */
  readonly subject: string | undefined
  /** Of something that must stay unique and say nothing. */
  readonly hash: (text: string) => string
}

/** What is left of a run: what it was, when, and how it ended. */
export function erasedRun({ atMs, subject, hash }: Erasing): Rewrite {
  return ({ kind, text, runId }) => {
    switch (kind) {
      case 'input':
      case 'output':
        return isErased(text) ? undefined : erasedJson(atMs)
      case 'memo':
      case 'external_id':
      case 'derived_key':
        return null
      case 'text':
      case 'fingerprint':
        return ERASED
      case 'details':
        return undefined
      case 'failure':
        return JSON.stringify(erasedFailure(JSON.parse(text) as Failure))
      case 'key':
        return `${ERASED}:${runId}`
      case 'effect_key':
        return text.startsWith(`${ERASED}:`) ? undefined : `${ERASED}:${hash(text)}`
      case 'labels':
        return JSON.stringify(withoutSubject(JSON.parse(text) as Record<string, string>, subject))
    }
  }
}

/** Class, code and status tell what happened, and not to whom. */
function erasedFailure({
  vendorRequestId: _id,
  subject: _subject,
  bodyExcerpt: _excerpt,
  ...failure
}: Failure): Failure {
  return { ...failure, message: ERASED, hint: ERASED }
}

function withoutSubject(labels: Readonly<Record<string, string>>, subject: string | undefined): Record<string, string> {
  const kept = Object.entries(labels).filter(
    ([name, value]) => name !== SUBJECT_LABEL && !(subject !== undefined && holds(value, subject)),
  )
  return Object.fromEntries(kept)
}

/** A shorter name stands in anything. */
const SHORTEST_NAME = 6

/**
 * Whether a text for people names somebody who is erased, whatever its case; `undefined`: by none of these names can anybody be
 * told from other words.
 */
export function namesOneOf(names: readonly string[]): ((text: string) => boolean) | undefined {
  const needles = names.map((name) => name.trim()).filter(({ length }) => length >= SHORTEST_NAME)
  return needles.length === 0 ? undefined : (text) => needles.some((needle) => holds(text, needle))
}

/** Actions that name somebody: who did what, and when, stays. */
export function erasedActions(codec: Codec, isNamedIn: (text: string) => boolean): Rewrite {
  return ({ kind, text }) => {
    if (kind !== 'text' && kind !== 'details') return undefined
    const shown = kind === 'details' ? codec.openText(detailsOf(text)) : codec.openText(text)
    if (!isNamedIn(shown)) return undefined
    return kind === 'details' ? JSON.stringify(onlyCounts(shown)) : ERASED
  }
}

/** Numbers tell how much was done, and of whom nothing. */
function onlyCounts(details: string): Json {
  const value = JSON.parse(details) as Json
  if (!isJsonObject(value)) return { erased: true }
  const counts = Object.entries(value).filter(([, part]) => typeof part === 'number' || typeof part === 'boolean')
  return { ...Object.fromEntries(counts), erased: true }
}

function holds(text: string, needle: string): boolean {
  return text.toLowerCase().includes(needle.toLowerCase())
}
