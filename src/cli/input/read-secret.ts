/** A secret, from where neither the shell's history nor the list of processes shows it. */
import { configurationError } from '../../core/errors.ts'
import type { Host } from '../host.ts'

const LARGEST_BYTES = 64 * 1024

/**
 * From the environment variable, where one is named, else all of stdin; without the line break at its end.
 * @throws HoldfastError `secret_missing`
 */
export async function readSecret(host: Host, variable: string | undefined): Promise<string> {
  if (variable !== undefined)
    return host.env[variable]?.trim() || missing(`The environment variable ${variable} is not set`)
  if (process.stdin.isTTY) return missing('There is nothing on stdin')
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of process.stdin) {
    bytes += (chunk as Buffer).byteLength
    if (bytes > LARGEST_BYTES) return missing('What is on stdin is too long for a secret')
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks).toString('utf8').trim() || missing('Stdin is empty')
}

function missing(message: string): never {
  const hint =
    'Pipe it in (`holdfast credentials set NAME < secret.txt`) or name a variable with --env. It is never given as an argument: shells and process lists keep those.'
  throw configurationError('secret_missing', message, hint)
}
