/** One thing the twin did, once for each effect key. */
export interface Effect {
  readonly key: string
  /** `POST /contacts` */
  readonly route: string
  readonly method: string
  readonly path: string
  readonly body: unknown
  /** Wall clock. */
  readonly atMs: number
  readonly correlationId?: string
  readonly idempotencyKey?: string
  /** Applied once more by the network, or by the API itself (`duplicated_execution`): its caller asked for it once. */
  readonly copy?: true
}

export interface Duplicate {
  readonly key: string
  /** Two or more. */
  readonly effects: readonly Effect[]
}

export interface EffectLog {
  readonly all: readonly Effect[]
  add(effect: Effect): void
  has(key: string): boolean
  duplicates(): readonly Duplicate[]
}

export function createEffectLog(): EffectLog {
  const all: Effect[] = []
  const byKey = new Map<string, Effect[]>()
  return {
    all,
    add(effect) {
      all.push(effect)
      const same = byKey.get(effect.key)
      if (same) same.push(effect)
      else byKey.set(effect.key, [effect])
    },
    has: (key) => byKey.has(key),
    duplicates: () =>
      [...byKey].filter(([, effects]) => effects.length > 1).map(([key, effects]) => ({ key, effects })),
  }
}
