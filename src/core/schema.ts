import type { StandardSchemaV1 } from '@standard-schema/spec'

export type Validation =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly problems: string[] }

/** Runs any Standard Schema and words its problems as `path: message`. */
export async function validate(schema: StandardSchemaV1, value: unknown): Promise<Validation> {
  const pending = schema['~standard'].validate(value)
  const result = pending instanceof Promise ? await pending : pending
  if (!result.issues) return { ok: true, value: result.value }
  return { ok: false, problems: result.issues.map(wordIssue) }
}

function wordIssue(issue: StandardSchemaV1.Issue): string {
  const path = (issue.path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.')
  return path ? `${path}: ${issue.message}` : issue.message
}
