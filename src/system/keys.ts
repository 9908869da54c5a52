/** The keys of what is stored, from the configuration or the files it names. */
import { readFileSync } from 'node:fs'
import type { LoadedConfig } from '../config/loaded.ts'
import { configurationError, messageOf } from '../core/errors.ts'
import { createKeyRing, type KeyRing } from '../core/key-ring.ts'

/** @throws HoldfastError `encryption_key_invalid`, `key_file_unreadable` */
export function openKeys({ keys }: Pick<LoadedConfig, 'keys'>): KeyRing {
  return createKeyRing(keys.flatMap(keysOf))
}

/** One key per line in a file: the present one first. */
function keysOf(text: string): string[] {
  if (!text.startsWith('file:')) return [text]
  return readKeyFile(text.slice('file:'.length))
    .split(/\s+/)
    .filter((line) => line !== '')
}

function readKeyFile(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw configurationError(
      'key_file_unreadable',
      `The key file ${path} cannot be read: ${messageOf(cause)}`,
      'Check the name under `keys`, and that this process may read the file.',
      { path },
      cause,
    )
  }
}
