/** How points in time and rate-limit values are written in headers; see retry-after.ts for what they mean. */

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
/** `Sun, 06 Nov 1994 08:49:37 GMT`, and the obsolete `Sunday, 06-Nov-94 08:49:37 GMT` (RFC 9110, section 5.6.7). */
const HTTP_DATE =
  /^(?:[a-z]{3,9},? )?(\d{1,2})[ -]([a-z]{3})[ -](\d{4}|\d{2}) (\d\d):(\d\d):(\d\d) (?:GMT|UTC|\+0000)$/i
/** `Sun Nov  6 08:49:37 1994`: in UTC, though Date.parse reads it as local time. */
const ASCTIME = /^[a-z]{3} ([a-z]{3}) {1,2}(\d{1,2}) (\d\d):(\d\d):(\d\d) (\d{4})$/i
const RFC_3339 = /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):?(\d\d))$/i

/** Milliseconds since the epoch of a date in any of the forms above; `undefined` for anything else. Reads no local time. */
export function parseDateMs(text: string): number | undefined {
  const http = HTTP_DATE.exec(text)
  if (http) return utcMs(fullYear(http[3]), monthOf(http[2]), http[1], http[4], http[5], http[6])
  const asctime = ASCTIME.exec(text)
  if (asctime) return utcMs(Number(asctime[6]), monthOf(asctime[1]), asctime[2], asctime[3], asctime[4], asctime[5])
  const rfc = RFC_3339.exec(text)
  if (!rfc) return undefined
  const dateMs = utcMs(Number(rfc[1]), Number(rfc[2]) - 1, rfc[3], rfc[4], rfc[5], rfc[6])
  const offsetMs = (Number(rfc[9] ?? 0) * 60 + Number(rfc[10] ?? 0)) * 60_000
  const fractionMs = Number(`0.${rfc[7] ?? '0'}`) * 1000
  return dateMs === undefined ? undefined : dateMs + fractionMs - (rfc[8] === '-' ? -offsetMs : offsetMs)
}

/** RFC 850 dates have two digits; nothing that is sent today is from before 1970. */
function fullYear(text: string | undefined): number {
  const year = Number(text)
  if (text?.length !== 2) return year
  return year < 70 ? 2000 + year : 1900 + year
}

function monthOf(text: string | undefined): number {
  return MONTHS.indexOf((text ?? '').toLowerCase())
}

function utcMs(year: number, month: number, ...rest: (string | undefined)[]): number | undefined {
  const [day = 0, hour = 0, minute = 0, second = 0] = rest.map(Number)
  if (month < 0 || month > 11 || hour > 23 || minute > 59 || second > 60) return undefined
  const dateMs = Date.UTC(year, month, day, hour, minute, second)
  // Date.UTC takes 31 February for 3 March.
  return day >= 1 && new Date(Date.UTC(year, month, day)).getUTCDate() === day ? dateMs : undefined
}

/** Above 1e12 epoch milliseconds, above 1e9 epoch seconds, else delta seconds (facts.md section 1). */
export function epochOrDeltaMs(value: number, nowMs: number): number {
  if (value > 1e12) return value - nowMs
  if (value > 1e9) return value * 1000 - nowMs
  return value * 1000
}

const DURATION = /^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?$/

/** Milliseconds from now until a reset, as any vendor writes it; `undefined` for what cannot be read. */
export function parseResetMs(text: string, nowMs: number): number | undefined {
  if (text === '') return undefined
  if (/^\d+(\.\d+)?$/.test(text)) return finite(epochOrDeltaMs(Number(text), nowMs))
  const dateMs = parseDateMs(text)
  if (dateMs !== undefined) return finite(dateMs - nowMs)
  const duration = DURATION.exec(text)
  if (!duration) return undefined
  const [days = 0, hours = 0, minutes = 0, seconds = 0, milliseconds = 0] = duration
    .slice(1)
    .map((part) => Number(part ?? 0))
  return finite((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000 + milliseconds)
}

function finite(valueMs: number): number | undefined {
  return Number.isNaN(valueMs) ? undefined : Math.max(0, valueMs)
}
