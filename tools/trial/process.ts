/** A process of a trial: works, or submits. Started, and killed, by `children.ts`. */
import { isHoldfastError } from '../../src/core/errors.ts'
import type { Holdfast, Refused, Submitted } from '../../src/engine/api.ts'
import { holdfast } from '../../src/index.ts'
import { configOf, emailOf, onboard } from './world.ts'

export interface Orders {
  readonly store: string
  readonly url: string
  readonly leaseMs: number
  /** Submits from this run on, as far as it is allowed, instead of working. */
  readonly submitFrom?: number
}

/** To one that submits: up to here, this run not included. */
export interface Allowance {
  readonly upTo: number
}

export type Report =
  | { readonly type: 'ready' }
  /** All runs before this one are on disk: so say `submit` and `submitMany`. */
  | { readonly type: 'acknowledged'; readonly upTo: number; readonly known: number }
  | { readonly type: 'trouble'; readonly message: string }

interface EmailRecord {
  readonly input: { readonly email: string }
  readonly options: { readonly key: string }
}

/** Small enough that a kill often falls between two of them, large enough to be written as a group. */
const BATCH = 40

async function run(orders: Orders): Promise<void> {
  const hf = await holdfast(configOf(orders.store, orders.url, orders.leaseMs))
  hf.events.on('engine.trouble', ({ where, message }) => report({ type: 'trouble', message: `${where}: ${message}` }))
  // Ends with the trial that started it, whatever ends that.
  process.once('disconnect', () => process.exit())
  process.once('SIGTERM', () => void end(hf))
  if (orders.submitFrom === undefined) hf.startWorker()
  else submitAsAllowed(hf, orders.submitFrom)
  report({ type: 'ready' })
}

function submitAsAllowed(hf: Holdfast, from: number): void {
  let next = from
  let allowed = from
  let isSubmitting = false

  async function submitAll(): Promise<void> {
    if (isSubmitting) return
    isSubmitting = true
    while (next < allowed) {
      const upTo = Math.min(next + BATCH, allowed)
      const known = await submit(hf, next, upTo)
      next = upTo
      report({ type: 'acknowledged', upTo, known })
    }
    isSubmitting = false
  }
  process.on('message', ({ upTo }: Allowance) => {
    allowed = Math.max(allowed, upTo)
    submitAll().catch(fail)
  })
}

/** A store that is away longer than anybody waits for it is said aloud; the same submit again is always safe. */
async function submit(hf: Holdfast, from: number, upTo: number): Promise<number> {
  for (;;) {
    try {
      return await submitOnce(hf, from, upTo)
    } catch (error) {
      if (!isHoldfastError(error) || !error.code.startsWith('store_')) throw error
      report({ type: 'trouble', message: `submit: ${error.message}` })
    }
  }
}

/** Resolves to how many were known: submitted by one that was killed before it could say so. */
async function submitOnce(hf: Holdfast, from: number, upTo: number): Promise<number> {
  const records = Array.from({ length: upTo - from }, (_, index): EmailRecord => {
    const email = emailOf(from + index)
    return { input: { email }, options: { key: email } }
  })
  const isTurn = Math.floor(from / BATCH) % 2 === 0
  const receipts = isTurn ? await hf.submitMany(onboard, records) : await oneByOne(hf, records)
  return receipts.filter(isKnown).length
}

/** As most programs do it: for each there may be a worker that waits. */
async function oneByOne(hf: Holdfast, records: readonly EmailRecord[]): Promise<Submitted[]> {
  const receipts: Submitted[] = []
  for (const { input, options } of records) receipts.push(await hf.submit(onboard, input, options))
  return receipts
}

function isKnown(receipt: Submitted | Refused): boolean {
  if (!receipt.ok) throw receipt.error
  return receipt.duplicate
}

async function end(hf: Holdfast): Promise<void> {
  await hf.close().catch(fail)
  process.disconnect()
}

function fail(error: unknown): never {
  console.error(error)
  process.exit(1)
}

function report(what: Report): void {
  process.send?.(what)
}

if (process.argv[2] !== undefined && process.send) run(JSON.parse(process.argv[2]) as Orders).catch(fail)
