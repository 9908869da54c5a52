import type { Command } from 'commander'
import type { GatewaySettings } from '../../config/gateway-settings.ts'
import type { LoadedConfig } from '../../config/loaded.ts'
import { isHoldfastError, messageOf } from '../../core/errors.ts'
import { newId } from '../../core/ids.ts'
import type { Holdfast } from '../../engine/api.ts'
import type { GatewayParts } from '../../gateway/parts.ts'
import type { CliContext } from '../context.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { GRACE_MS, listenForInterrupt, untilInterrupted } from '../interruption.ts'
import { portNumber, positiveInteger } from '../option-parsers.ts'
import { printable } from '../output/printable.ts'
import type { Registrar } from '../registrar.ts'
import { keepForgetting, whenMoved } from '../upkeep.ts'

interface Options {
  readonly host?: string
  readonly port?: number
  readonly worker: boolean
  readonly concurrency?: number
}

export function define(command: Command, registrar: Registrar): void {
  command
    .description(
      'Runs the gateway: records, requests and webhooks in over HTTP, calls passed on (/proxy/INTEGRATION/PATH), operations, and their contract (/openapi.json); and a worker on what is due. Without tokens only this machine is served.',
    )
    .option('--host <address>', 'where to listen (default: `gateway.host`, else 127.0.0.1)')
    .option('--port <number>', 'on which port (default: `gateway.port`, else 4180); 0 takes a free one', portNumber)
    .option('--no-worker', 'only take in; other processes do the work')
    .option('--concurrency <count>', 'items at the same time in this process', positiveInteger)
  registrar.examples(command, [
    ['holdfast serve', 'on http://127.0.0.1:4180, until Ctrl-C'],
    ['holdfast serve --no-worker', 'with `holdfast worker` elsewhere'],
    ['holdfast serve --host 0.0.0.0', 'for the network: needs `gateway.tokens`, see `holdfast token`'],
  ])
  registrar.handle<Options>(command, async (context, options) => {
    const config = await context.config('send')
    const settings: GatewaySettings = {
      ...config.gateway,
      ...(options.host !== undefined && { host: options.host }),
      ...(options.port !== undefined && { port: options.port }),
    }
    const { assertSafe } = await import('../../gateway/access.ts')
    // Before the store is opened: what cannot be served safely should change nothing.
    assertSafe(settings)
    return context.withHoldfast('send', (holdfast) => serve(context, options, config, settings, holdfast))
  })
}

async function serve(
  context: CliContext,
  options: Options,
  config: LoadedConfig,
  settings: GatewaySettings,
  holdfast: Holdfast,
): Promise<ExitCode> {
  const { host, output } = context
  const { checkCallbackSecret } = await import('../../engine/callbacks/desk.ts')
  const [{ startGateway }, { proxyOf, webhooksOf }, { proxyHosts }, { watchLoopDelay }, { systemRandom }] =
    await Promise.all([
      import('../../gateway/server.ts'),
      import('../../gateway/mounts.ts'),
      import('../../gateway/proxy/target.ts'),
      import('../../system/loop-delay.ts'),
      import('../../system/system-random.ts'),
    ])
  using interruption = listenForInterrupt(host, 'Stopping: what is under way may end; the rest stays in the store.')
  const { secret } = config.callbacks
  if (secret !== undefined) checkCallbackSecret(secret)
  const loop = watchLoopDelay()
  const mount: Pick<GatewayParts, 'clock' | 'newId' | 'onTrouble'> = {
    clock: host.clock,
    newId: () => newId(host.clock, systemRandom),
    onTrouble: ({ correlationId, error }) =>
      output.note(`trouble in the gateway (${correlationId}): ${printable(wordTrouble(error))}`),
  }
  const gateway = await startGateway({
    ...mount,
    holdfast,
    settings,
    maxPayloadBytes: config.maxPayloadBytes,
    redact: [...new Set(config.integrations.flatMap(({ redact }) => redact))],
    profiles: config.profiles,
    loopDelayMs: loop.delayMs,
    webhooks: webhooksOf(
      holdfast,
      config.webhooks.map(({ name }) => name),
    ),
    proxy: proxyOf(holdfast, mount),
    proxyHosts: proxyHosts(
      config.integrations.map(({ name }) => name),
      settings.proxyDomain,
    ),
  })
  const worker = options.worker
    ? holdfast.startWorker(options.concurrency === undefined ? {} : { concurrency: options.concurrency })
    : undefined
  output.note(wordStart(gateway.url, settings, worker?.id))
  using moved = whenMoved(holdfast)
  const signal = AbortSignal.any([interruption.signal, moved.signal])
  const upkeep = worker ? keepForgetting(context, holdfast, signal) : undefined
  await Promise.all([untilInterrupted(host.clock, signal), upkeep])
  await gateway.stop({ graceMs: GRACE_MS })
  await worker?.stop({ graceMs: GRACE_MS })
  loop.stop()
  moved.signal.throwIfAborted()
  output.result({ url: gateway.url, stopped: true }, () => 'Stopped.')
  return EXIT.done
}

function wordStart(url: string, { tokens }: GatewaySettings, workerId: string | undefined): string {
  const who = tokens.length > 0 ? `${tokens.length} tokens` : 'this machine only'
  return `Holdfast listens on ${url} (${who}); ${workerId ? `worker ${workerId} is working` : 'no worker here'}. Ctrl-C stops it; nothing is lost.`
}

function wordTrouble(error: unknown): string {
  if (isHoldfastError(error)) return `${error.code}: ${error.message}`
  return error instanceof Error ? (error.stack ?? error.message) : messageOf(error)
}
