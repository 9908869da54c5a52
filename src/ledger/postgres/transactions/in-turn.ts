import type { PostgresClient, PostgresQuery, PostgresResult } from './driver.ts'

interface Waiting {
  readonly query: PostgresQuery
  readonly resolve: (result: PostgresResult) => void
  readonly reject: (error: unknown) => void
}

/**
 * Sends a query when the one before it is answered, for clients that do not pipeline: `pg` gives up queueing for them. When one
 * fails, what waits behind it fails too and is never sent: it would arrive after the roll-back, outside of any transaction.
 */
export function inTurn(client: PostgresClient): (query: PostgresQuery) => Promise<PostgresResult> {
  let waiting: Waiting[] = []
  let isBusy = false

  async function sendAll(): Promise<void> {
    isBusy = true
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      try {
        next.resolve(await client.query(next.query))
      } catch (error) {
        const failed = [next, ...waiting]
        waiting = []
        for (const { reject } of failed) reject(error)
      }
    }
    isBusy = false
  }

  return (query) =>
    new Promise((resolve, reject) => {
      waiting.push({ query, resolve, reject })
      if (!isBusy) void sendAll()
    })
}
