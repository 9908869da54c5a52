/** What every request passes, whatever serves it: who asks, whether they may, and whether there is room. */
import type { Scope } from '../config/gateway-settings.ts'
import type { Access, Principal } from './access.ts'
import type { Admission } from './admission.ts'
import type { RequestHead } from './head.ts'

export interface Guarded {
  /** `none`: open to everybody. */
  readonly scope: Scope | 'none'
  /** `exempt`: served whatever the load, and not waited for at the end. Default `counted`. */
  readonly load?: 'counted' | 'exempt'
}

export interface Entered {
  readonly principal: Principal
  /** To be disposed when the request has ended. */
  readonly place: Disposable
}

export interface Entrance {
  /**
   * @throws HoldfastError `token_missing`, `token_invalid`, `scope_missing`, `host_refused`, `origin_refused`, `rate_limited`,
   *   `overloaded`, `draining`
   */
  enter(head: RequestHead, guarded: Guarded): Entered
}

const NO_PLACE: Disposable = { [Symbol.dispose]() {} }

export function createEntrance(access: Access, admission: Admission): Entrance {
  return {
    enter(head, { scope, load }) {
      const { from } = head
      const principal = scope === 'none' ? { by: 'anybody', from } : access.authorize(head, scope)
      if (load === 'exempt') return { principal, place: NO_PLACE }
      // Callers without a token of their own are told apart by where they are.
      const isNamed = principal.by.startsWith('token:')
      return { principal, place: admission.enter(isNamed ? principal.by : from) }
    },
  }
}
