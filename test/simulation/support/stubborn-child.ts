/** A child of the pool that does what the seed says: answer, hang for ever, or die. */
import { setTimeout } from 'node:timers'
import { failedReport, type Order } from '../../../tools/simulation/orders.ts'

process.once('disconnect', () => process.exit())
process.on('message', (order: Order) => {
  if (order.scenario === 'dies') process.exit(3)
  if (order.scenario === 'hangs') for (;;);
  const report = { ...failedReport(order, '', '', 0), violations: [], summary: `by ${process.pid}` }
  setTimeout(() => process.send?.(report), 0)
})
