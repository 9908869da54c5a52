/** What the gateway is made of: everything that touches the world is handed in. */
import type { GatewaySettings } from '../config/gateway-settings.ts'
import type { Profile } from '../config/profile.ts'
import type { Clock } from '../core/clock.ts'
import type { Holdfast } from '../engine/api.ts'

export interface GatewayParts {
  readonly holdfast: Holdfast
  readonly settings: GatewaySettings
  readonly clock: Clock
  readonly newId: () => string
  /** The largest record that is accepted. */
  readonly maxPayloadBytes: number
  /** Fields of payloads, beside the built-in names, that no answer shows. */
  readonly redact: readonly string[]
  /** What is known of vendors. Default: the built-in profiles. */
  readonly profiles?: readonly Profile[]
  /** How late the event loop is. */
  readonly loopDelayMs: () => number
  /** Errors that were not meant, for the log. */
  readonly onTrouble: (trouble: { readonly correlationId: string; readonly error: unknown }) => void
  /** `POST /webhooks/{source}`: verifies, stores, answers. Default: there are none. */
  readonly webhooks?: (request: Request, source: string) => Promise<Response>
  /** `ANY /proxy/{integration}/{path}`; `path` as it came, with its query. Default: there is none. */
  readonly proxy?: (request: Request, integration: string, path: string, correlationId: string) => Promise<Response>
}
