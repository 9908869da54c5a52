/** Answers as JSON; the values of secret fields of payloads never leave (rule 7). */
import type { ReplayReport } from '../engine/api.ts'
import type { ItemRecord, RunRecord } from '../ledger/port.ts'
import { redactJson } from '../policy/redact.ts'

export function jsonAnswer(data: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(JSON.stringify(data), { status, headers: { 'content-type': 'application/json', ...headers } })
}

export function shownRun(run: RunRecord, secretFields: readonly string[]): RunRecord {
  return { ...run, input: redactJson(run.input, secretFields) }
}

export function shownItem({ memo: _, ...item }: ItemRecord, secretFields: readonly string[]): Omit<ItemRecord, 'memo'> {
  return {
    ...item,
    input: redactJson(item.input, secretFields),
    edits: item.edits.map((edit) => ({ ...edit, input: redactJson(edit.input, secretFields) })),
    output: item.output === undefined ? undefined : redactJson(item.output, secretFields),
  }
}

export function shownReplay(report: ReplayReport, secretFields: readonly string[]) {
  return {
    ...report,
    stopped: report.stopped ?? null,
    samples: shownSamples(report.samples, secretFields),
  }
}

export function shownSamples(samples: ReplayReport['samples'], secretFields: readonly string[]) {
  return samples.map(({ itemId, before, after }) => ({
    itemId,
    before: redactJson(before, secretFields),
    after: redactJson(after, secretFields),
  }))
}
