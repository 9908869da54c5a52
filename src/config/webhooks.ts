/** From what was written about webhooks to settings. */
import { durationMs } from '../core/duration.ts'
import { didYouMean } from './nearest.ts'
import type { Problem } from './problems.ts'
import { parseSize } from './quantities.ts'
import type { WrittenWebhook } from './schema-webhooks.ts'
import type { HmacSettings, WebhookSettings } from './webhook-settings.ts'

/** Sends the secret with its first call: until then there is none. */
const INTRODUCES_ITSELF = 'notion'

export function webhookSettings(
  written: Readonly<Record<string, WrittenWebhook>>,
  pipelines: readonly { readonly name: string }[],
  maxPayloadBytes: number,
  problems: Problem[],
): WebhookSettings[] {
  const names = pipelines.map(({ name }) => name)
  return Object.entries(written).map(([name, webhook]) => {
    problems.push(...problemsOf(name, webhook, names))
    const { provider, secret = [], pipeline, tolerance, maxBody, input, publicUrl, hmac } = webhook
    return {
      name,
      provider,
      secrets: typeof secret === 'string' ? [secret] : secret,
      pipeline,
      toleranceMs: tolerance === undefined ? undefined : durationMs(tolerance),
      maxBodyBytes: maxBody === undefined ? maxPayloadBytes : parseSize(maxBody),
      input: input ?? 'event',
      publicUrl,
      hmac: hmac as HmacSettings | undefined,
    }
  })
}

function problemsOf(name: string, webhook: WrittenWebhook, pipelines: readonly string[]): Problem[] {
  const { provider, secret, pipeline, hmac } = webhook
  const problems: Problem[] = []
  const say = (key: string, message: string) => problems.push({ path: ['webhooks', name, key], message })
  if ((secret === undefined || secret.length === 0) && provider !== INTRODUCES_ITSELF) {
    say('secret', 'expected the secret that its requests are signed with: without one, anybody could send them')
  }
  if (!pipelines.includes(pipeline)) {
    const near = didYouMean(pipeline, pipelines)
    say(
      'pipeline',
      `there is no pipeline "${pipeline}"${near || (pipelines.length > 0 ? `; known: ${pipelines.join(', ')}` : '')}`,
    )
  }
  if (provider === 'hmac' && !hmac) say('hmac', 'expected how the sender signs, such as { header: "X-Signature" }')
  if (provider !== 'hmac' && hmac) say('hmac', `${provider} is known: leave this out, or say provider: "hmac"`)
  return problems
}
