/**
 * The words in which classifications are told to people: one place, so that `explain`, the dashboard, dead letters and
 * errors say the same (design.md, rule 9).
 */
import type { Certainty, FailureClass } from '../core/failure.ts'

export interface ClassWords {
  /** Completes "the call ...". */
  readonly meaning: string
  /** Safe to show to an end user; tells nothing about the inside (R196). */
  readonly userMessage: string
  /** What the person on call can do about it (R132). */
  readonly hint: string
}

const TRY_LATER = 'The service we depend on is not available right now. We will try again.'
const OUR_SIDE = 'This could not be done because of a problem on our side. We have been told about it.'
const CHECK_INPUT = 'Some of the information was not accepted. Please check it.'

export const CLASS_WORDS: Readonly<Record<FailureClass, ClassWords>> = {
  transient: {
    meaning: 'failed for a reason that usually passes',
    userMessage: TRY_LATER,
    hint: 'Nothing to do: it is tried again. If it lasts, look at the status page of the API.',
  },
  rate_limited: {
    meaning: 'was refused because too many calls were made',
    userMessage: TRY_LATER,
    hint: 'Nothing to do: the lane waits until the API allows more. If it happens often, lower the rate limit of the integration.',
  },
  wait_long: {
    meaning: 'was refused until a quota, a spend limit or a migration lets it through',
    userMessage: 'The service we depend on has reached a limit. This will be done later.',
    hint: 'Raise the quota or the spend limit at the vendor, or wait until it renews.',
  },
  authentication: {
    meaning: 'was refused because the credential is not valid',
    userMessage: OUR_SIDE,
    hint: 'Renew or replace the credential of this integration, then resume its lane: holdfast integrations resume.',
  },
  authorization: {
    meaning: 'was refused because the credential lacks a permission',
    userMessage: OUR_SIDE,
    hint: 'Give the credential the missing scope or permission at the vendor, then replay.',
  },
  not_found: {
    meaning: 'named something that does not exist',
    userMessage: 'The record was not found.',
    hint: 'Check the id in the record and the path of the endpoint; create the missing entity first, then replay.',
  },
  conflict: {
    meaning: 'conflicts with what the API has',
    userMessage: 'The record was changed or created by someone else at the same time.',
    hint: 'Compare the record with what the API has, then replay or discard.',
  },
  validation: {
    meaning: 'was refused because of its data',
    userMessage: CHECK_INPUT,
    hint: 'Correct the data at its source, then replay.',
  },
  schema: {
    meaning: 'does not fit the fields that the API knows',
    userMessage: OUR_SIDE,
    hint: 'Correct the mapping, or add the field at the vendor, then replay the whole group.',
  },
  too_large: {
    meaning: 'was larger than the API accepts',
    userMessage: 'The record is too large.',
    hint: 'Send less at once: shrink the record, or use smaller batches.',
  },
  malformed_response: {
    meaning: 'got an answer that cannot be used',
    userMessage: 'The service we depend on gave an unexpected answer.',
    hint: 'Look at the excerpt of the answer: a proxy or maintenance page, a wrong base URL, or a changed response schema.',
  },
  unknown: {
    meaning: 'failed for a reason that no rule knows',
    userMessage: 'This could not be done right now.',
    hint: 'Look at the message and the excerpt, and add a rule under "errors" of the integration.',
  },
  held: {
    meaning: 'was held back before anything was sent',
    userMessage: TRY_LATER,
    hint: 'Nothing to do: it goes on when what holds it is gone.',
  },
  cancelled: {
    meaning: 'was given up by its caller',
    userMessage: 'This was cancelled.',
    hint: 'Nothing to do, unless it should have run: then submit or replay it.',
  },
  configuration: {
    meaning: 'cannot work as it is set up',
    userMessage: OUR_SIDE,
    hint: 'Correct the configuration of this integration, then replay.',
  },
}

/** What is known about the effect, as a sentence. */
export const CERTAINTY_WORDS: Readonly<Record<Certainty, string>> = {
  not_sent: 'It surely had no effect.',
  maybe_applied: 'It may have had its effect.',
  applied: 'The API did it, but the answer cannot be used.',
}
