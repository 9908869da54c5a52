/** The errors that a real network and undici make of the same events: what classification sees must not differ. */

export function connectionRefused(origin: string): Error {
  return systemError('ECONNREFUSED', 'connect', `connect ECONNREFUSED ${origin}`)
}

export function nameNotFound(host: string): Error {
  return systemError('ENOTFOUND', 'getaddrinfo', `getaddrinfo ENOTFOUND ${host}`)
}

export function connectionReset(): Error {
  return systemError('ECONNRESET', 'read', 'read ECONNRESET')
}

export function connectTimeout(origin: string, connectMs: number): Error {
  const message = `Connect Timeout Error (attempted address: ${origin}, timeout: ${connectMs}ms)`
  return Object.assign(new Error(message), { code: 'UND_ERR_CONNECT_TIMEOUT' })
}

export function otherSideClosed(): Error {
  return Object.assign(new Error('other side closed'), { code: 'UND_ERR_SOCKET' })
}

function systemError(code: string, syscall: string, message: string): Error {
  return Object.assign(new Error(message), { code, syscall })
}
