import { expect, test } from 'vitest'
import { systemHost } from './host.ts'

test('a host can be made again and again: the streams of the process are listened to once', () => {
  systemHost()
  const count = () => process.stdout.listenerCount('error') + process.stderr.listenerCount('error')
  const before = count()
  for (let again = 0; again < 20; again++) systemHost()
  expect(count()).toBe(before)
})
