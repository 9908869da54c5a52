/**
 * Versions of a value, as texts that any store can compare byte by byte (R116). Two kinds: numbers, and times. What can be
 * mistaken (any other text, negative numbers, numbers that JSON has rounded) is refused: a wrong order would overwrite new
 * values with old ones, and nobody would notice.
 */
import { HoldfastError } from './errors.ts'

/** Digits, perhaps a fraction, of any length: `42`, `1767225600123`, `12.5`. */
const DECIMAL = /^0*(\d+?)(?:\.(\d+?)0*)?$/
/** RFC 3339, or a date alone: `2026-01-31T09:30:00.123456Z`, `2026-01-31T10:30:00+01:00`, `2026-01-31`. */
const TIME = /^(\d{4}-\d{2}-\d{2})(?:[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2}))?$/
const LONGEST_TEXT = 100

/**
 * The text under which a version is stored: the greater, the newer, among those of one kind.
 * @throws HoldfastError `version_invalid` for what is neither a number from 0 up (or its digits, as text) nor a time with a zone
 */
export function storedVersion(value: unknown): string {
  if (value instanceof Date) return timeVersion(Number.isNaN(value.getTime()) ? '' : value.toISOString(), value)
  if (typeof value === 'number') return numberVersion(value)
  if (typeof value !== 'string' || value.length > LONGEST_TEXT) throw invalidVersion(value)
  return DECIMAL.test(value) ? decimalVersion(value) : timeVersion(value, value)
}

/** True where `version` is surely the older one. Versions of different kinds do not compare: then neither is. */
export function isOlderVersion(version: string, than: string): boolean {
  return version[0] === than[0] && version < than
}

/** For people: as it was given, but for leading zeros and the zone. */
export function shownVersion(stored: string): string {
  if (stored.startsWith('t'))
    return stored
      .slice(1)
      .replace(/(\.\d*?)0+Z$/, '$1Z')
      .replace('.Z', 'Z')
  const digits = Number(stored.slice(1, 4))
  const fraction = stored.slice(4 + digits)
  return stored.slice(4, 4 + digits) + (fraction === '' ? '' : `.${fraction}`)
}

function numberVersion(value: number): string {
  const text = String(value)
  // Beyond this JSON has rounded it, and two versions may look like one.
  if (value < 0 || value > Number.MAX_SAFE_INTEGER || !DECIMAL.test(text)) throw invalidVersion(value)
  return decimalVersion(text)
}

/** How many digits it has comes first, so that 9 is below 10. */
function decimalVersion(text: string): string {
  const [, whole = '0', fraction = ''] = DECIMAL.exec(text) ?? []
  return `n${String(whole.length).padStart(3, '0')}${whole}${fraction === '0' ? '' : fraction}`
}

function timeVersion(text: string, given: unknown): string {
  const [, date, time = '00:00:00', fraction = '', zone = 'Z'] = TIME.exec(text) ?? []
  const instant = isoTime(`${date}T${time}${zone.toUpperCase()}`)
  // A 31st of February would be taken for a day of March; a zone may lead beyond the year 9999.
  if (!/^\d{4}-/.test(instant) || !isoTime(`${date}T00:00:00Z`).startsWith(`${date}`)) throw invalidVersion(given)
  return `t${instant.slice(0, 19)}.${fraction.padEnd(9, '0')}Z`
}

function isoTime(text: string): string {
  const atMs = Date.parse(text)
  return Number.isNaN(atMs) ? '' : new Date(atMs).toISOString()
}

function invalidVersion(value: unknown): HoldfastError {
  const shown = (typeof value === 'string' ? JSON.stringify(value) : String(value)).slice(0, LONGEST_TEXT)
  const what = value === undefined || value === null ? 'nothing' : `${shown} (${typeof value})`
  return new HoldfastError({
    code: 'version_invalid',
    class: 'validation',
    message: `The version of the value is ${what}, which does not say what is newer`,
    userMessage: 'The data is not complete or not valid.',
    hint: 'Give a number from 0 up (its digits as text where it is longer than 15) or a time with its zone, such as "2026-01-31T09:30:00Z": correct the record, or change `supersede.version`.',
  })
}
