import type { Profile, ProfileSamples } from '../../config/profile.ts'
import type { WrittenRate } from '../../config/schema-parts.ts'
import type { Duration } from '../../core/duration.ts'
import type { TwinDefinition } from '../twin/options.ts'
import type { FailOptions } from './fail.ts'

/** What a vendor twin does beside what its profile tells. */
export interface VendorTwinOptions extends Pick<TwinDefinition, 'faults' | 'latency' | 'onEffect' | 'onRequest'> {
  /** Routes of your own: asked before the vendor's. */
  readonly routes?: TwinDefinition['routes']
  /** Recorded answers by rule, faults by kind, and how often. Default none. */
  readonly fail?: FailOptions
  /** The same for the records of batches, by rule: each is answered alone. Default none. */
  readonly failRecords?: Readonly<Record<string, number>>
  /**
   * By the names that `holdfast profiles show` gives; another name is a limit the vendor says nothing about until it is reached. These change
   * the published ones; `false`: without that limit. `limits: false`: without any.
   */
  readonly limits?: false | Readonly<Record<string, WrittenRate | false>>
  /** Refuses calls without credentials where the vendor does; anything is taken for a credential. Default true. */
  readonly credentials?: boolean
  /** Body field (dot path) of which a path takes each value only once: `{ '/crm/v3/objects/contacts': 'properties.email' }`. */
  readonly unique?: Readonly<Record<string, string>>
  /** Body field (dot path) that tells two creations apart; default the whole body. Counted as done twice: the same value twice. */
  readonly effectKey?: string
  /** How long a creation takes; meanwhile its idempotency key is in flight. Default none. */
  readonly work?: Duration
  /** Recorded answers of a profile of yours, where it does not bring them itself. */
  readonly samples?: ProfileSamples
}

/** A built-in profile by name, or one of your own. */
export type VendorProfile = string | Profile
