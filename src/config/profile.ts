/** What is known about one vendor, as plain data: in TypeScript, YAML or JSON. `profiles/` holds those that come with Holdfast. */
import type { BatchShape, BatchShapeName } from './batch-shapes.ts'
import type { PresetName } from './preset-names.ts'
import type { FactSource, ProfileRule, RuleSample } from './profile-rule.ts'
import type { RateLimitReading } from './rate-limits.ts'
import type { WrittenEndpoint, WrittenLimits } from './schema-policies.ts'

export interface Profile {
  /** What `profile:` in a configuration says: `hubspot`. */
  readonly name: string
  /** The vendor, for people: `HubSpot`. */
  readonly title: string
  /** Where its documentation of errors, limits and authentication is. */
  readonly docs: readonly string[]
  /** Only where one address serves every customer. */
  readonly baseUrl?: string
  /** Sent with every call: content types and versions, never credentials. */
  readonly headers?: Readonly<Record<string, string>>
  readonly preset?: PresetName
  readonly auth?: AuthHint
  readonly timeouts?: WrittenEndpoint['timeouts']
  /** Only what the vendor documents for every customer, with its source. */
  readonly limits?: { readonly values: WrittenLimits; readonly source: FactSource }
  /** How answers tell what is left. */
  readonly rateLimits?: readonly RateLimitReading[]
  /** Where error bodies keep things: dot paths, most telling first; the usual places are asked after them (R024). */
  readonly errorPaths?: {
    readonly code?: readonly string[]
    readonly message?: readonly string[]
    readonly field?: readonly string[]
  }
  /** First match wins: the finer before the coarser. */
  readonly rules: readonly ProfileRule[]
  readonly endpoints?: Readonly<Record<string, ProfileEndpoint>>
  /** Body fields, beside the usual ones, whose values never reach a log or dead letter. */
  readonly redact?: readonly string[]
  /** By rule. Those of built-in profiles are in files of their own, loaded only when asked for. */
  readonly samples?: ProfileSamples
}

export interface ProfileEndpoint extends WrittenEndpoint {
  /** How one call takes several records, and how its answer tells of each: one of `BATCH_SHAPES`, or one of its own. */
  readonly batchShape?: BatchShapeName | BatchShape
  /** Where it is documented that a repeat is safe, and the like. */
  readonly source?: FactSource
}

/** Which credentials the vendor takes, and what is peculiar about them: for people and `doctor`. */
export interface AuthHint {
  readonly kinds: readonly AuthKind[]
  /** The header, where it is not `Authorization`. */
  readonly header?: string
  readonly tokenUrl?: string
  readonly note?: string
}

export const AUTH_KINDS = ['none', 'bearer', 'basic', 'header', 'query', 'client_credentials', 'refresh_token'] as const
export type AuthKind = (typeof AUTH_KINDS)[number]

/** At least one recorded answer for each rule, by the rule's id. */
export type ProfileSamples = Readonly<Record<string, readonly RuleSample[]>>
