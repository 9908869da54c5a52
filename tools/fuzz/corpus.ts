/** Requests that have hurt servers, as bytes (`latin1`): each is sent as it is, and cut, doubled, mixed and changed by chance. */

const OWN = 'Host: 127.0.0.1\r\n'
const JSON_TYPE = 'Content-Type: application/json\r\n'
const deep = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`

function post(path: string, headers: string, body: string): string {
  return `POST ${path} HTTP/1.1\r\n${OWN}${headers}Content-Length: ${body.length}\r\n\r\n${body}`
}

/** @param canary address of a server that nobody may be made to call: `127.0.0.1:PORT` */
export function corpus(canary: string): string[] {
  return [...LINES, ...FRAMING, ...HEADERS, ...BODIES, ...towards(canary)]
}

const LINES: readonly string[] = [
  '\r\n\r\n',
  '\0\0\0\0\r\n\r\n',
  'GET\r\n\r\n',
  'GET / HTTP/9.9\r\n\r\n',
  'GET / HTTP/1.0\r\n\r\n',
  'GET / HTTP/1.1\r\n\r\n',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  `GET  /v1/items  HTTP/1.1\r\n${OWN}\r\n`,
  `GET /v1/items\tHTTP/1.1\r\n${OWN}\r\n`,
  `G\0T /v1/items HTTP/1.1\r\n${OWN}\r\n`,
  `get /v1/items HTTP/1.1\r\n${OWN}\r\n`,
  `GET /${'a'.repeat(20_000)} HTTP/1.1\r\n${OWN}\r\n`,
  `GET /v1/items?${'a=b&'.repeat(3000)} HTTP/1.1\r\n${OWN}\r\n`,
  `GET /%00 HTTP/1.1\r\n${OWN}\r\n`,
  `GET /%ff%fe HTTP/1.1\r\n${OWN}\r\n`,
  `GET /\xff\xfe HTTP/1.1\r\n${OWN}\r\n`,
  `GET /v1/items/%E0%A4%A HTTP/1.1\r\n${OWN}\r\n`,
  `OPTIONS * HTTP/1.1\r\n${OWN}\r\n`,
  `TRACE /proxy/crm/x HTTP/1.1\r\n${OWN}\r\n`,
  `CONNECT 127.0.0.1:22 HTTP/1.1\r\n${OWN}\r\n`,
  `GET /proxy/crm/../../v1/items HTTP/1.1\r\n${OWN}\r\n`,
  `GET /proxy/crm/%2e%2e/%2e%2e/secret HTTP/1.1\r\n${OWN}\r\n`,
  `GET /proxy/crm/..;/secret HTTP/1.1\r\n${OWN}\r\n`,
  `GET /proxy/crm/..%5c..%5csecret HTTP/1.1\r\n${OWN}\r\n`,
  `GET /proxy/__proto__/x HTTP/1.1\r\n${OWN}\r\n`,
  `GET /proxy/constructor/x HTTP/1.1\r\n${OWN}\r\n`,
  `GET /webhooks/__proto__ HTTP/1.1\r\n${OWN}\r\n`,
  `GET /../../../../etc/passwd HTTP/1.1\r\n${OWN}\r\n`,
]

const FRAMING: readonly string[] = [
  `POST /webhooks/github HTTP/1.1\r\n${OWN}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/items HTTP/1.1\r\n${OWN}\r\n`,
  `POST /webhooks/github HTTP/1.1\r\n${OWN}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
  `POST /webhooks/github HTTP/1.1\r\n${OWN}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`,
  `POST /webhooks/github HTTP/1.1\r\n${OWN}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
  `POST /webhooks/github HTTP/1.1\r\n${OWN}Content-Length: 3\r\nContent-Length: 7\r\n\r\nabc`,
  ...['-1', '+5', '0x10', '1e3', '99999999999999999999', '9007199254740993', '5 5', '', '\x0b5'].map(
    (length) => `POST /webhooks/github HTTP/1.1\r\n${OWN}Content-Length: ${length}\r\n\r\nabc`,
  ),
  ...[
    'ffffffffffffffff\r\n',
    '-1\r\n',
    'g\r\n',
    '1;ext="\n"\r\na\r\n0\r\n\r\n',
    '3\r\nabcd\r\n0\r\n\r\n',
    '5\nabcde\n0\n\n',
  ].map((chunks) => `POST /proxy/crm/things HTTP/1.1\r\n${OWN}Transfer-Encoding: chunked\r\n\r\n${chunks}`),
  `POST /webhooks/github HTTP/1.1\r\n${OWN}Transfer-Encoding: chunked\r\nTrailer: Host\r\n\r\n1\r\na\r\n0\r\nHost: evil\r\n\r\n`,
  `POST /v1/requests HTTP/1.1\r\n${OWN}${JSON_TYPE}Expect: 200-maybe\r\nContent-Length: 2\r\n\r\n{}`,
  `GET /v1/items HTTP/1.1\r\n${OWN}Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n`,
  `GET /v1/items HTTP/1.1\r\n${OWN}Upgrade: h2c\r\nHTTP2-Settings: AAAA\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n`,
  `GET /healthz HTTP/1.1\r\n${OWN}\r\n`.repeat(50),
]

const HEADERS: readonly string[] = [
  `GET /v1/items HTTP/1.1\r\n${OWN}X: ${'x'.repeat(20_000)}\r\n\r\n`,
  `GET /v1/items HTTP/1.1\r\n${OWN}${Array.from({ length: 300 }, (_, n) => `X-${n}: 1\r\n`).join('')}\r\n`,
  `GET /v1/items HTTP/1.1\r\n${OWN} folded: 1\r\n\r\n`,
  `GET /v1/items HTTP/1.1\r\n${OWN}X: a\rSet-Cookie: b\r\n\r\n`,
  `GET /v1/items HTTP/1.1\r\n${OWN}X: a\nY: b\0\r\n\r\n`,
  `GET /v1/items HTTP/1.1\r\n${OWN}X-Correlation-Id: a\x0bb\r\n\r\n`,
  `GET /v1/items HTTP/1.1\r\n${OWN}X-Correlation-Id: %0d%0aSet-Cookie:%20a=b\r\n\r\n`,
  `GET /v1/items HTTP/1.1\r\n${OWN}__proto__: x\r\nconstructor: x\r\n\r\n`,
  `GET /proxy/crm/things HTTP/1.1\r\n${OWN}Connection: close, authorization, host, content-length\r\n\r\n`,
  `GET /proxy/crm/things HTTP/1.1\r\n${OWN}X-Holdfast-Timeout: -1\r\n\r\n`,
  `GET /proxy/crm/things HTTP/1.1\r\n${OWN}X-Holdfast-Timeout: 1e999\r\n\r\n`,
  `GET /proxy/crm/things HTTP/1.1\r\n${OWN}Prefer: wait=99999999999999\r\n\r\n`,
  `GET /proxy/crm/things HTTP/1.1\r\n${OWN}X-Holdfast-Upstream-Authorization: Bearer stolen\r\nAuthorization: Basic YTpi\r\n\r\n`,
  `GET /proxy/crm/things HTTP/1.1\r\n${OWN}Via: ${'1.1 holdfast, '.repeat(20)}1.1 holdfast\r\n\r\n`,
  `GET /v1/items HTTP/1.1\r\nHost: evil.test\r\n\r\n`,
  `GET /v1/items HTTP/1.1\r\nHost: a/b@c:80:80\r\n\r\n`,
  `GET /v1/items HTTP/1.1\r\n${OWN}Host: evil.test\r\n\r\n`,
]

const BODIES: readonly string[] = [
  post('/v1/pipelines/arrive/runs', JSON_TYPE, deep(60_000)),
  post('/v1/pipelines/arrive/runs', JSON_TYPE, '{"a":'.repeat(5000)),
  post(
    '/v1/pipelines/arrive/runs',
    JSON_TYPE,
    '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}',
  ),
  post('/v1/pipelines/arrive/runs', JSON_TYPE, '"\xff\xfe\xc0\x80"'),
  post('/v1/pipelines/arrive/runs', JSON_TYPE, '{"a":"\\ud800\\u0000"}'),
  post('/v1/pipelines/arrive/runs', JSON_TYPE, `{"a":1${'0'.repeat(5000)}}`),
  post('/v1/pipelines/arrive/runs', JSON_TYPE, '\xef\xbb\xbf{}'),
  post('/v1/pipelines/arrive/runs', 'Content-Type: application/x-ndjson\r\n', '{}\n\0\n[[[\n"\xff"\n\r\n{"a":1}'),
  post('/v1/pipelines/arrive/runs', 'Content-Type: application/x-ndjson\r\n', '\n'.repeat(5000)),
  post('/v1/pipelines/arrive/runs?key=__proto__', 'Content-Type: application/x-ndjson\r\n', '{"a":1}\n'),
  post('/v1/pipelines/arrive/runs', `${JSON_TYPE}Content-Encoding: gzip\r\n`, '\x1f\x8b\x08\0'),
  post('/v1/pipelines/arrive/runs', 'Content-Type: text/plain\r\n', '{}'),
  post('/v1/pipelines/arrive/runs', JSON_TYPE, `"${'x'.repeat(200_000)}"`),
  post('/v1/dead-letters/replay', JSON_TYPE, '{"selection":{"all":true},"patch":{"__proto__":{"x":1}}}'),
  post('/v1/dead-letters/discard', JSON_TYPE, '{"selection":{"filter":{}},"reason":"x"}'),
  post('/webhooks/github', 'X-Hub-Signature-256: sha256=00\r\n', deep(60_000)),
  post('/webhooks/github', `X-Hub-Signature-256: ${'sha256=,'.repeat(1000)}\r\n`, '{}'),
  post('/webhooks/github', '', 'x'.repeat(200_000)),
]

/** Everything that might make a server call where the sender wants. */
function towards(canary: string): string[] {
  const request = (path: string) =>
    post('/v1/requests', JSON_TYPE, JSON.stringify({ integration: 'crm', method: 'GET', path }))
  return [
    `GET http://${canary}/proxy/crm/x HTTP/1.1\r\n${OWN}\r\n`,
    `GET http://${canary}/ HTTP/1.1\r\nHost: ${canary}\r\n\r\n`,
    `GET /proxy/${canary}/x HTTP/1.1\r\n${OWN}\r\n`,
    `GET /proxy/crm//${canary}/x HTTP/1.1\r\n${OWN}\r\n`,
    `GET /proxy/crm/\\\\${canary}/x HTTP/1.1\r\n${OWN}\r\n`,
    `GET /proxy/crm@${canary}/x HTTP/1.1\r\n${OWN}\r\n`,
    `GET /proxy/crm/@${canary}/x HTTP/1.1\r\n${OWN}\r\n`,
    `GET /proxy/crm/http://${canary}/x HTTP/1.1\r\n${OWN}\r\n`,
    `GET /proxy/crm?url=http://${canary}/ HTTP/1.1\r\n${OWN}\r\n`,
    `GET /proxy/crm/redirect HTTP/1.1\r\n${OWN}\r\n`,
    `GET /proxy/crm/redirect HTTP/1.1\r\n${OWN}Prefer: respond-async\r\n\r\n`,
    `GET /proxy/crm/x HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-Host: ${canary}\r\nForwarded: host=${canary}\r\n\r\n`,
    `GET /proxy/crm/x HTTP/1.1\r\nHost: ${canary}\r\n\r\n`,
    request(`http://${canary}/x`),
    request(`//${canary}/x`),
    request(`/\\${canary}/x`),
    request(`@${canary}/x`),
    request('/../x'),
    request('/redirect'),
  ]
}
