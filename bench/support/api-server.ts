/** Entry of the upstream's process: a plain `node:http` server with a small JSON answer. Tells its CPU when asked. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const CONTACT = JSON.stringify({ id: '12345', email: 'ada@example.com', company: 'Example', createdAt: '2026-11-22' })

const server = createServer((request, response) => {
  request.resume()
  response.setHeader('content-type', 'application/json')
  response.setHeader('content-length', Buffer.byteLength(CONTACT))
  response.end(CONTACT)
})

server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))

process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send?.((user + system) / 1000)
})
process.on('disconnect', () => process.exit(0))
