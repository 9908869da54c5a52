/** The inbox of what needs a person: alert, group, fix the cause, replay, verify (R135). */
import type { Command } from 'commander'
import type { Registrar } from '../registrar.ts'
import { defineDiscard } from './dlq-discard.ts'
import { defineList } from './dlq-list.ts'
import { defineReplay } from './dlq-replay.ts'
import { defineResolve } from './dlq-resolve.ts'

export function define(command: Command, registrar: Registrar): void {
  command.description(
    'Dead letters: what will not be tried again by itself. Group them, fix the cause, replay, and see each one succeed.',
  )
  registrar.examples(command, [
    ['holdfast dlq groups', 'what failed, by cause'],
    ['holdfast dlq list --group 3f2a', 'one cause'],
    ['holdfast dlq replay --group 3f2a --canary 5 --yes', 'five first, then the rest'],
    ['holdfast dlq resolve ID --happened', 'your word on an unknown outcome'],
  ])
  defineList(command, registrar)
  defineReplay(command, registrar)
  defineDiscard(command, registrar)
  defineResolve(command, registrar)
}
