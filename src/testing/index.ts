/**
 * The test kit, `holdfast/testing`: a Holdfast on virtual time for tests of one's own pipelines; an API that fails as told,
 * behind a socket or without; faults in front of a real one; and time that moves only when told to.
 */
export { seededRandom } from '../core/random.ts'
export { type FaultProxy, type FaultProxyOptions, type Forwarded, startFaultProxy } from './fault-proxy.ts'
export type {
  ActivePeriod,
  BrownOutOptions,
  OutageMode,
  OutageOptions,
  Period,
} from './faults/availability.ts'
export type { RequestCounts } from './faults/counts.ts'
export type { Fault, FaultInput, FaultKind, FaultOf, FaultRule } from './faults/fault.ts'
export type { ScriptStep, ScriptTarget } from './faults/fault-plan.ts'
export type { FaultServer, FaultServerOptions } from './faults/fault-server.ts'
export type { FaultOptions, FaultyService } from './faults/faulty-service.ts'
export { FAULT_KINDS } from './faults/perform.ts'
export type { Disturbance, DisturbanceKind } from './network/disturbance.ts'
export {
  createSimulatedNetwork,
  type SimulatedNetwork,
  type SimulatedNetworkOptions,
  type SimulatedTransportOptions,
  type SimulatedTwin,
  type SimulatedTwinOptions,
} from './network/network.ts'
export { createTestbed, type Testbed, type TestbedOptions } from './testbed/testbed.ts'
export { parseTwinSpec, type TwinSpec, type TwinSurroundings, twinFromSpec } from './twin/cli-spec.ts'
export type { Duplicate, Effect } from './twin/effects.ts'
export type { Arrival, ArrivedRequest, Guard, SentProblem, TwinDefinition, TwinOptions } from './twin/options.ts'
export type { RateLimitOptions, ResetForm, RetryAfterForm } from './twin/rate-limit.ts'
export type { Collection, IdStyle, RecordStore, TwinRecord } from './twin/record-store.ts'
export type { TwinRequest } from './twin/request.ts'
export { type ResourceOptions, resource } from './twin/resource.ts'
export {
  type FieldProblem,
  type IdempotencyOptions,
  type RouteOptions,
  refusal,
  route,
  type TwinProblem,
  type TwinResponse,
  type TwinRoute,
} from './twin/route.ts'
export { startTwin, type Twin, type TwinState } from './twin/twin.ts'
export { createVendorTwin } from './vendor-twin/create.ts'
export type { FailOptions, RuleFailure } from './vendor-twin/fail.ts'
export type { VendorProfile, VendorTwinOptions } from './vendor-twin/options.ts'
export { createVirtualClock, type VirtualClock, type VirtualClockOptions } from './virtual-clock.ts'
