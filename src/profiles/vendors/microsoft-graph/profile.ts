/** Microsoft Graph: users, mail, calendars, files, Teams. */
import type { Profile, ProfileEndpoint } from '../../../config/profile.ts'
import { GRAPH_DOCS, graphRules } from './rules.ts'

const SETS: ProfileEndpoint = { idempotency: 'safe' }
const EACH_IS_ONE_MORE: ProfileEndpoint = { idempotency: 'unsafe', source: GRAPH_DOCS.errors }
/** The directory has many copies: what was just made may not be found for some seconds. */
const LATE: ProfileEndpoint = { eventuallyConsistent: { retries: 3, delay: '5s' } }
/** A second reference to the same object is refused. */
const REFERENCE: ProfileEndpoint = {
  idempotency: { natural: '@odata.id' },
  eventuallyConsistent: { retries: 3, delay: '5s' },
  source: GRAPH_DOCS.directory,
}

export const microsoftGraph: Profile = {
  name: 'microsoft-graph',
  title: 'Microsoft Graph',
  docs: [
    GRAPH_DOCS.errors.url,
    GRAPH_DOCS.throttling.url,
    GRAPH_DOCS.batching.url,
    'https://learn.microsoft.com/graph/best-practices-concept',
  ],
  baseUrl: 'https://graph.microsoft.com',
  auth: {
    kinds: ['client_credentials', 'refresh_token', 'bearer'],
    tokenUrl: 'https://login.microsoftonline.com/common/oauth2/v2.0/token',
    note: 'Instead of "common" apps name their tenant. Access tokens live about an hour. National clouds have addresses of their own (graph.microsoft.us, microsoftgraph.chinacloudapi.cn).',
  },
  errorPaths: {
    // Deepest first: innererror tells more than the code above it.
    code: ['error.**.code', 'error', 'responses[].body.error.code'],
    message: ['error.message', 'error_description', 'responses[].body.error.message'],
    field: ['error.details[].target', 'error.target'],
  },
  rules: graphRules,
  endpoints: {
    // client-request-id only helps to find a call again: Graph has no keys.
    'POST /{version}/$batch': { idempotency: 'unsafe', batchShape: 'graph-batch', source: GRAPH_DOCS.batching },
    'POST /{version}/me/sendMail': EACH_IS_ONE_MORE,
    'POST /{version}/users/{id}/sendMail': EACH_IS_ONE_MORE,
    'POST /{version}/me/events': EACH_IS_ONE_MORE,
    'POST /{version}/users/{id}/events': EACH_IS_ONE_MORE,
    'POST /{version}/teams/{id}/channels/{channelId}/messages': EACH_IS_ONE_MORE,
    'POST /{version}/groups/{id}/members/$ref': REFERENCE,
    'POST /{version}/groups/{id}/owners/$ref': REFERENCE,
    'GET /{version}/users/{id}': LATE,
    'GET /{version}/groups/{id}': LATE,
    'PATCH /{version}/users/{id}': { ...SETS, ...LATE },
    'PATCH /{version}/groups/{id}': { ...SETS, ...LATE },
    'PATCH /{version}/me/messages/{id}': SETS,
    'PATCH /{version}/me/events/{id}': SETS,
    'PATCH /{version}/users/{id}/events/{eventId}': SETS,
    'PATCH /{version}/drives/{id}/items/{itemId}': SETS,
    'PATCH /{version}/sites/{id}/lists/{listId}/items/{itemId}/fields': SETS,
    'PATCH /{version}/subscriptions/{id}': SETS,
    'POST /{version}/me/calendar/getSchedule': SETS,
    'POST /{version}/users/{id}/getMemberGroups': SETS,
    'POST /{version}/users/{id}/checkMemberGroups': SETS,
    'POST /{version}/directoryObjects/getByIds': SETS,
    'POST /{version}/search/query': SETS,
  },
  redact: [
    'passwordProfile',
    'bodyPreview',
    'uniqueBody',
    'mobilePhone',
    'businessPhones',
    'homePhones',
    'streetAddress',
    'clientState',
    'access_token',
    'refresh_token',
    'client_secret',
  ],
}
