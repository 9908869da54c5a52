/** How a profile judges an answer: for `holdfast profiles test`, twins and tests. */
import { integrationSettings } from '../config/integration.ts'
import { configError, type Problem } from '../config/problems.ts'
import type { Profile } from '../config/profile.ts'
import type { ProfileRule, RuleSample } from '../config/profile-rule.ts'
import type { ErrorRule, IdempotencySettings, IntegrationSettings } from '../config/settings.ts'
import type { Failure } from '../core/failure.ts'
import type { Json } from '../core/json.ts'
import { type AnswerFacts, classifyAnswer, defaultIdempotency } from '../policy/classify/classify.ts'
import { decidingRule } from '../policy/classify/classify-answer.ts'

/** An integration that knows nothing but the profile. */
export function settingsOfProfile(profile: Profile): IntegrationSettings {
  const problems: Problem[] = []
  const written = { profile, baseUrl: profile.baseUrl ?? 'https://api.example.com' }
  const settings = integrationSettings(profile.name, written, problems)
  if (problems.length > 0) throw configError(`The profile ${profile.name}`, problems)
  return settings
}

export interface SampleJudgement {
  /** `undefined`: success. */
  readonly failure: Failure | undefined
  /** The rule that decided; `undefined` where the default table did. */
  readonly rule: ErrorRule | undefined
  /** Whether the call may be repeated. */
  readonly idempotency: IdempotencySettings
}

/** @param receivedAtMs What "midnight" and dates count from. */
export function judgeSample(settings: IntegrationSettings, sample: RuleSample, receivedAtMs: number): SampleJudgement {
  const method = sample.method ?? 'POST'
  const endpoint = `${method} ${sample.path ?? '/'}`
  const idempotency = settings.endpoints[endpoint]?.idempotency ?? defaultIdempotency(method)
  const call = { method, endpoint, idempotency }
  const answer = answerOfSample(sample, receivedAtMs)
  return {
    failure: classifyAnswer(call, answer, settings),
    rule: decidingRule(call, answer, settings),
    idempotency,
  }
}

export function answerOfSample({ status, headers = {}, body }: RuleSample, receivedAtMs: number): AnswerFacts {
  const lower = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])
  const isText = typeof body === 'string' || body === undefined
  return {
    status,
    headers: Object.fromEntries(lower) as Record<string, string>,
    body: isText ? undefined : body,
    bodyText: isText ? (body ?? '') : JSON.stringify(body satisfies Json),
    receivedAtMs,
  }
}

export interface SampleResult {
  readonly rule: ProfileRule
  readonly sample: RuleSample
  /** The rule that decided instead; `undefined` for the default table. Equal to the rule's own id where all is well. */
  readonly decidedBy: string | undefined
  readonly failure: Failure | undefined
}

/** Every sample of every rule, judged. */
export function judgeSamples(
  profile: Profile,
  samples: Readonly<Record<string, readonly RuleSample[]>>,
  receivedAtMs: number,
): SampleResult[] {
  const settings = settingsOfProfile(profile)
  return profile.rules.flatMap((rule) =>
    (samples[rule.id] ?? []).map((sample) => {
      const judgement = judgeSample(settings, sample, receivedAtMs)
      return { rule, sample, decidedBy: judgement.rule?.id, failure: judgement.failure }
    }),
  )
}
