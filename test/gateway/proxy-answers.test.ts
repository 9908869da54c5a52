/** What of an answer reaches the caller, and what does not. */
import { once } from 'node:events'
import http from 'node:http'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { startStreamServer } from '../sdks/support/stream-server.ts'
import { raw, rawRequest } from '../support/raw-http.ts'
import { openProxy, started, upstream } from './support/proxy-bench.ts'

describe('the proxy', () => {
  test('status, headers and body come back; several cookies stay several', async () => {
    await using api = await upstream((_request, response) => {
      response.writeHead(207, {
        'set-cookie': ['a=1; Path=/', 'b=2'],
        etag: '"x"',
        'x-own': 'yes',
        connection: 'x-hop',
        'x-hop': '1',
      })
      response.end('some text')
    })
    await using proxy = await openProxy({ crm: { baseUrl: api.url } })
    const answer = await fetch(`${proxy.url}/proxy/crm/x`)
    expect(answer.status).toBe(207)
    expect(answer.headers.getSetCookie()).toEqual(['a=1; Path=/', 'b=2'])
    expect(answer.headers.get('etag')).toBe('"x"')
    expect(answer.headers.get('x-own')).toBe('yes')
    expect(answer.headers.has('x-hop')).toBe(false)
    expect(await answer.text()).toBe('some text')
  })

  test('rules for browsers about the host of the API do not become ours', async () => {
    const dangerous = {
      'clear-site-data': '"*"',
      'strict-transport-security': 'max-age=1',
      'access-control-allow-origin': '*',
      'alt-svc': 'h3=":443"',
      refresh: '0; url=https://evil.example',
      'x-holdfast-item': 'forged',
      'content-security-policy': "script-src 'unsafe-inline'",
    }
    await using api = await upstream((_request, response) => {
      response.writeHead(200, { ...dangerous, 'content-type': 'text/html' }).end('<script>1</script>')
    })
    await using proxy = await openProxy({ crm: { baseUrl: api.url } })
    const { headers } = await fetch(`${proxy.url}/proxy/crm/x`)
    const { 'content-security-policy': _policy, ...gone } = dangerous
    for (const name of Object.keys(gone)) expect(headers.has(name), name).toBe(false)
    expect(headers.get('content-security-policy')).toBe("default-src 'none'; sandbox")
    expect(headers.get('x-content-type-options')).toBe('nosniff')
  })

  test.each([204, 205, 304])('a %d has no body', async (status) => {
    await using api = await upstream((_request, response) => {
      response.writeHead(status, { etag: '"1"' }).end()
    })
    await using proxy = await openProxy({ crm: { baseUrl: api.url } })
    const answer = await raw(proxy.port, rawRequest('GET /proxy/crm/x', ['if-none-match: "1"']))
    expect(answer.status).toBe(status)
    expect(answer.head.toLowerCase()).toContain('etag: "1"')
    expect(answer.body).not.toContain('x')
  })

  test('HEAD tells the length and sends nothing', async () => {
    await using api = await upstream((_request, response) =>
      response.writeHead(200, { 'content-length': '1234' }).end(),
    )
    await using proxy = await openProxy({ crm: { baseUrl: api.url } })
    const answer = await raw(proxy.port, rawRequest('HEAD /proxy/crm/x'))
    expect(answer.status).toBe(200)
    expect(answer.head.toLowerCase()).toContain('content-length: 1234')
    expect(answer.body).toBe('')
  })

  test('what comes compressed is handed over decoded, and says so', async () => {
    const text = JSON.stringify({ text: 'x'.repeat(5000) })
    await using api = await upstream((_request, response) => {
      const body = gzipSync(text)
      const headers = { 'content-encoding': 'gzip', 'content-length': body.length, 'content-type': 'application/json' }
      response.writeHead(200, headers).end(body)
    })
    await using proxy = await openProxy({ crm: { baseUrl: api.url } })
    const answer = await raw(proxy.port, rawRequest('GET /proxy/crm/x', ['accept-encoding: gzip']))
    expect(answer.head.toLowerCase()).not.toContain('content-encoding')
    expect(answer.body).toContain(text.slice(0, 4000))
    expect(api.seen[0]?.headers).not.toHaveProperty('accept-encoding')
  })

  test('1xx and trailers are not passed on', async () => {
    await using api = await upstream((_request, response) => {
      response.writeEarlyHints({ link: '</a.css>; rel=preload' })
      response.writeHead(200, { trailer: 'x-sum' })
      response.write('body')
      response.addTrailers({ 'x-sum': '1' })
      response.end()
    })
    await using proxy = await openProxy({ crm: { baseUrl: api.url } })
    const { status, head, body } = await raw(proxy.port, rawRequest('GET /proxy/crm/x'))
    expect(status).toBe(200)
    expect(head + body).not.toMatch(/x-sum|preload/i)
  })

  test('events come one by one, and a caller who leaves ends the call', async () => {
    await using api = await startStreamServer()
    await using proxy = await openProxy({ crm: { baseUrl: api.url } })
    const leaving = new AbortController()
    const asked = fetch(`${proxy.url}/proxy/crm/events`, { signal: leaving.signal })
    const stream = await api.next()
    await stream.write('data: 1\n\n')
    const answer = await asked
    const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader()
    expect((await reader?.read())?.value).toBe('data: 1\n\n')
    await stream.write('data: 2\n\n')
    expect((await reader?.read())?.value).toBe('data: 2\n\n')
    leaving.abort()
    await stream.closed
  })

  test('a caller who leaves before the answer ends the call', async () => {
    const server = http.createServer()
    await using api = await started(server)
    await using proxy = await openProxy({ crm: { baseUrl: api.url } })
    const leaving = new AbortController()
    const asked = fetch(`${proxy.url}/proxy/crm/x`, { signal: leaving.signal }).catch(() => 'left')
    const [request] = (await once(server, 'request')) as [http.IncomingMessage]
    const closed = once(request.socket, 'close')
    leaving.abort()
    await closed
    expect(await asked).toBe('left')
    expect(proxy.troubles).toEqual([])
  })

  test('an answer that breaks off breaks off for the caller', async () => {
    await using api = await startStreamServer()
    await using proxy = await openProxy({ crm: { baseUrl: api.url } })
    const asked = fetch(`${proxy.url}/proxy/crm/events`)
    const stream = await api.next()
    await stream.write('data: 1\n\n')
    const answer = await asked
    const reading = answer.text()
    stream.cutOff()
    await expect(reading).rejects.toThrow()
  })

  test('a caller who reads slowly slows the API down: nothing piles up', async () => {
    const piece = Buffer.alloc(64 * 1024, 'x')
    let written = 0
    const server = http.createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/octet-stream' })
      const go = (): void => {
        while (written < 600) {
          written += 1
          if (!response.write(piece)) break
        }
        if (written >= 600) response.end()
        else response.once('drain', go)
      }
      go()
    })
    await using api = await started(server)
    await using proxy = await openProxy({ crm: { baseUrl: api.url } })
    const answer = await new Promise<http.IncomingMessage>((resolve) => http.get(`${proxy.url}/proxy/crm/big`, resolve))
    answer.pause()
    let before = -1
    // Until nothing moves any more: the buffers of three sockets are full.
    while (before !== written) {
      before = written
      for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve))
    }
    expect(written).toBeLessThan(450)
    let read = 0
    for await (const chunk of answer) read += (chunk as Buffer).length
    expect(read).toBe(600 * piece.length)
  })

  describe('addresses', () => {
    test.each([
      ['/base/next?a=1#b', '/proxy/crm/next?a=1#b'],
      ['sibling', '/proxy/crm/sibling'],
    ])('a redirect to %s stays with the proxy', async (location, expected) => {
      await using api = await upstream((_request, response) => response.writeHead(307, { location }).end())
      await using proxy = await openProxy({ crm: { baseUrl: `${api.url}/base` } })
      const answer = await fetch(`${proxy.url}/proxy/crm/x`, { redirect: 'manual' })
      expect(answer.headers.get('location')).toBe(proxy.url + expected)
      expect(api.seen).toHaveLength(1)
    })

    test.each(['https://evil.example/x', '//evil.example/x'])(
      'one to %s is told, and not followed',
      async (location) => {
        await using api = await upstream((_request, response) => response.writeHead(302, { location }).end())
        await using proxy = await openProxy({
          crm: { baseUrl: api.url, auth: { type: 'bearer', token: 'secret-1' } },
        })
        const answer = await fetch(`${proxy.url}/proxy/crm/x`, { redirect: 'manual' })
        expect(URL.parse(answer.headers.get('location') ?? '')?.host).toBe('evil.example')
        expect(api.seen).toHaveLength(1)
      },
    )

    test('where the host names the integration, it still does', async () => {
      await using api = await upstream((_request, response) => response.writeHead(302, { location: '/base/y' }).end())
      await using proxy = await openProxy({ crm: { baseUrl: `${api.url}/base` } })
      const request = rawRequest('GET /x?a=1').replace('host: 127.0.0.1', `host: crm.api.localhost:${proxy.port}`)
      const { head } = await raw(proxy.port, request)
      expect(head).toContain(`ocation: http://crm.api.localhost:${proxy.port}/y`)
      expect(api.seen[0]?.url).toBe('/base/x?a=1')
    })

    test('one to a script is left out', async () => {
      await using api = await upstream((_request, response) => {
        response.writeHead(302, { location: 'javascript:alert(1)' }).end()
      })
      await using proxy = await openProxy({ crm: { baseUrl: api.url } })
      const answer = await fetch(`${proxy.url}/proxy/crm/x`, { redirect: 'manual' })
      expect(answer.headers.has('location')).toBe(false)
    })

    test('links between pages stay with the proxy', async () => {
      await using api = await upstream((_request, response) => {
        const link = `<${api.url}/items?page=2>; rel="next", <https://docs.example/>; rel="help"`
        response.writeHead(200, { link }).end()
      })
      await using proxy = await openProxy({ crm: { baseUrl: api.url } })
      const { headers } = await fetch(`${proxy.url}/proxy/crm/items`)
      expect(headers.get('link')).toBe(
        `<${proxy.url}/proxy/crm/items?page=2>; rel="next", <https://docs.example/>; rel="help"`,
      )
    })
  })
})
