/** Google: Gmail, Calendar, Drive, Sheets, People, BigQuery and others with the same errors. */
import type { Profile, ProfileEndpoint } from '../../../config/profile.ts'
import { GOOGLE_DOCS, GOOGLE_INSERT_ALL, googleRules } from './rules.ts'

const SETS: ProfileEndpoint = { idempotency: 'safe' }
const EACH_IS_ONE_MORE: ProfileEndpoint = { idempotency: 'unsafe' }

export const google: Profile = {
  name: 'google',
  title: 'Google APIs',
  docs: [
    GOOGLE_DOCS.gmail.url,
    GOOGLE_DOCS.drive.url,
    GOOGLE_DOCS.calendar.url,
    GOOGLE_DOCS.model.url,
    GOOGLE_DOCS.oauth.url,
  ],
  auth: {
    kinds: ['bearer', 'refresh_token', 'query'],
    tokenUrl: 'https://oauth2.googleapis.com/token',
    note: 'Access tokens live one hour. Each API has an address of its own (gmail.googleapis.com, sheets.googleapis.com, ...). API keys go into the query as "key" and see public data only.',
  },
  errorPaths: {
    code: [
      'error.details[].reason',
      'error.errors[].reason',
      'error.status',
      'error',
      'insertErrors[].errors[].reason',
    ],
    message: ['error.message', 'error.errors[].message', 'error_description', 'insertErrors[].errors[].message'],
    field: ['error.details[].fieldViolations[].field', 'error.errors[].location', 'insertErrors[].errors[].location'],
  },
  rules: googleRules,
  endpoints: {
    'POST /gmail/v1/users/{userId}/messages/send': EACH_IS_ONE_MORE,
    'POST /gmail/v1/users/{userId}/drafts/send': EACH_IS_ONE_MORE,
    'POST /gmail/v1/users/{userId}/messages/{id}/modify': SETS,
    'POST /gmail/v1/users/{userId}/messages/batchModify': SETS,
    'POST /gmail/v1/users/{userId}/messages/{id}/trash': SETS,
    // With an id of your own in the body a repeat is refused as a duplicate: name it as natural key then.
    'POST /calendar/v3/calendars/{calendarId}/events': EACH_IS_ONE_MORE,
    'PATCH /calendar/v3/calendars/{calendarId}/events/{eventId}': SETS,
    'POST /calendar/v3/freeBusy': SETS,
    'POST /drive/v3/files': EACH_IS_ONE_MORE,
    'PATCH /drive/v3/files/{fileId}': SETS,
    // Appending adds rows again; updating writes the same cells.
    'POST /v4/spreadsheets/{spreadsheetId}/values/{range}:append': EACH_IS_ONE_MORE,
    'POST /v4/spreadsheets/{spreadsheetId}/values:batchUpdate': SETS,
    'POST /v4/spreadsheets/{spreadsheetId}/values:batchClear': SETS,
    'POST /v4/spreadsheets/{spreadsheetId}:batchUpdate': EACH_IS_ONE_MORE,
    [GOOGLE_INSERT_ALL]: {
      // With an insertId BigQuery drops repeats, for about a minute, when it can: not enough to rely on.
      idempotency: 'unsafe',
      batchShape: {
        envelope: { kind: 'list', at: 'rows' },
        answer: {
          allOrNothing: true,
          lists: [
            {
              at: 'insertErrors',
              match: { by: 'index', at: 'index' },
              signs: { all: 'failed' },
              error: {
                code: ['errors[].reason'],
                message: ['errors[].message'],
                field: ['errors[].location'],
                status: 400,
              },
            },
          ],
          // Not written because another row was refused.
          rolledBack: ['stopped'],
        },
      },
      source: GOOGLE_DOCS.bigquery,
    },
  },
  redact: ['raw', 'snippet', 'attendees', 'phoneNumbers', 'access_token', 'refresh_token', 'client_secret'],
}
