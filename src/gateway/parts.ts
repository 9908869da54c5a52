/** What the gateway is made of: everything that touches the world is handed in. */
import type { GatewaySettings } from '../config/gateway-settings.ts'
import type { Profile } from '../config/profile.ts'
import type { Clock } from '../core/clock.ts'
import type { Holdfast } from '../engine/api.ts'
import type { WebhookReceiver } from '../webhooks/receiver.ts'
import type { NodeProxyHandler } from './proxy/node.ts'

export interface GatewayParts {
  readonly holdfast: Holdfast
  readonly settings: GatewaySettings
  readonly clock: Clock
  readonly newId: () => string
  /** The largest record that is accepted. */
  readonly maxPayloadBytes: number
  /** Of all bodies that are arriving, together; never less than four of the largest. Default 256 MiB. */
  readonly maxArrivingBytes?: number
  /** Fields of payloads, beside the built-in names, that no answer shows. */
  readonly redact: readonly string[]
  /** What is known of vendors. Default: the built-in profiles. */
  readonly profiles?: readonly Profile[]
  /** How late the event loop is. */
  readonly loopDelayMs: () => number
  /** Errors that were not meant, for the log. */
  readonly onTrouble: (trouble: { readonly correlationId: string; readonly error: unknown }) => void
  /**
   * Behind `POST /webhooks/{source}`. Default: there are none.
   * @throws HoldfastError `unknown_webhook`
   */
  readonly webhooks?: (source: string) => WebhookReceiver
  /** Behind `ANY /proxy/{integration}/{path}`. Default: there is none. */
  readonly proxy?: NodeProxyHandler
  /** Hosts that stand for an integration: every path there is the API's. Default none. */
  readonly proxyHosts?: ReadonlyMap<string, string>
}
