/** What the twin and the proxy have in common where they are reached over HTTP. */
import { type Counters, createCounters } from './counts.ts'
import { createFaultyCore, type FaultOptions, type FaultyService, type Handler } from './faulty-service.ts'
import { HttpWire } from './http-wire.ts'
import { listen } from './listener.ts'

export interface FaultServerOptions extends FaultOptions {
  /** Default 127.0.0.1. */
  readonly host?: string
  /** Default 0: any free port. */
  readonly port?: number
}

/** Makes trouble, at an address. */
export interface FaultServer extends FaultyService {
  /** `http://127.0.0.1:4190` */
  readonly url: string
  readonly port: number
}

/** @throws HoldfastError `cannot_listen` */
export async function startFaultServer(
  options: FaultServerOptions,
  handler: Handler<HttpWire>,
  counters: Counters = createCounters(),
): Promise<FaultServer> {
  const core = createFaultyCore(options, handler, counters, {
    goAway: () => listener.goAway(),
    comeBack: () => listener.comeBack(),
  })
  const host = options.host ?? '127.0.0.1'
  const listener = await listen(host, options.port ?? 0, (request, response) =>
    core.accept(new HttpWire(request, response)),
  )
  return {
    ...core.service,
    url: `http://${host.includes(':') ? `[${host}]` : host}:${listener.port}`,
    port: listener.port,
  }
}
