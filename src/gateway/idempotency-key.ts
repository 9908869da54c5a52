/** `Idempotency-Key`, as in the IETF draft (httpapi-idempotency-key-header): a string in quotes; a bare one is taken too. */
import { refusal } from './problems.ts'

const QUOTED = /^"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/
const BARE = /^[\x21\x23-\x5b\x5d-\x7e]+$/
const LONGEST = 255

/** @throws HoldfastError `invalid_idempotency_key` */
export function idempotencyKeyOf(headers: Headers): string | undefined {
  const header = headers.get('idempotency-key')
  if (header === null) return undefined
  const text = header.trim()
  const key = QUOTED.exec(text)?.[1]?.replace(/\\(["\\])/g, '$1') ?? (BARE.test(text) ? text : '')
  if (key !== '' && key.length <= LONGEST) return key
  throw refusal(
    'invalid_idempotency_key',
    'The Idempotency-Key cannot be used',
    `Send 1 to ${LONGEST} printable ASCII characters, best a UUID: \`Idempotency-Key: "8e03978e-40d5-43dd-bc93-6894a57f9324"\`.`,
  )
}
