import type { BenchCase } from '../support/bench-case.ts'
import { CLIENT_CASES } from './client.ts'
import { GATEWAY_CASES } from './gateway.ts'
import { LEDGER_CASES } from './ledger.ts'
import { POLICY_CASES } from './policy.ts'
import { POSTGRES_CASES } from './postgres.ts'

export const ALL_CASES: readonly BenchCase[] = [
  ...POLICY_CASES,
  ...CLIENT_CASES,
  ...LEDGER_CASES,
  ...POSTGRES_CASES,
  ...GATEWAY_CASES,
]

export function findCase(name: string): BenchCase | undefined {
  return ALL_CASES.find((benchCase) => benchCase.name === name)
}
