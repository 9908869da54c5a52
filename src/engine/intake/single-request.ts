/** One call of an integration, accepted as a run of one step. */
import { checkPath, resolveEndpoint } from '../../client/call/request.ts'
import { METHODS } from '../../config/schema-parts.ts'
import { HoldfastError } from '../../core/errors.ts'
import { REDACTED, redactHeaders } from '../../policy/redact.ts'
import type { SingleRequest, SubmitOptions, Submitted } from '../api.ts'
import type { AnyPipeline } from '../pipelines/pipeline.ts'
import { pipelineOfRequests, planRequestTo } from '../pipelines/request-plans.ts'
import { type SubmitParts, submitRecords } from './submit.ts'

/** Headers of the connection. Those that hold secrets are refused too: they would be stored with the item. */
const REFUSED_HEADERS = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

/** @throws HoldfastError `invalid_input`, `invalid_path`, `key_conflict`, `payload_too_large`, `unknown_integration`, `store_*` */
export async function submitSingleRequest(
  parts: SubmitParts,
  { integration: name, ...request }: SingleRequest,
  options: SubmitOptions = {},
): Promise<Submitted> {
  const integration = parts.catalog.integration(name)
  check(request)
  const plan = planRequestTo(integration, resolveEndpoint(integration, request.method, request.path))
  const pipeline: AnyPipeline = { name: pipelineOfRequests(name), inputSchema: undefined, steps: new Map() }
  const [receipt] = await submitRecords(parts, pipeline, [{ input: request, options }], [plan])
  if (receipt?.ok) return receipt
  throw receipt?.error ?? new Error('no receipt')
}

function check({ method, path, headers = {} }: Omit<SingleRequest, 'integration'>): void {
  if (!(METHODS as readonly string[]).includes(method)) throw invalid('method', `expected one of ${METHODS.join(', ')}`)
  checkPath(path)
  // Some servers, and the URL standard, take it for a slash: then `/..\` would leave the base path.
  if (path.includes('\\')) throw invalid('path', 'a backslash cannot stand in it; encode it as %5C')
  for (const [header, value] of Object.entries(headers)) {
    if (!HEADER_NAME.test(header)) throw invalid(`headers.${header}`, 'this cannot be the name of a header')
    if (!HEADER_VALUE.test(value)) throw invalid(`headers.${header}`, 'this cannot be the value of a header')
    if (!REFUSED_HEADERS.has(header.toLowerCase()) && !isSecret(header)) continue
    throw invalid(`headers.${header}`, 'the integration and the connection bring this header, not the request')
  }
}

function isSecret(header: string): boolean {
  return redactHeaders({ [header]: 'a value' })[header] === REDACTED
}

function invalid(path: string, problem: string): HoldfastError {
  return new HoldfastError({
    code: 'invalid_input',
    class: 'validation',
    message: `The request cannot be accepted: ${path}: ${problem}`,
    userMessage: 'The data is not complete or not valid.',
    hint: 'Correct the named field and submit it again.',
    details: { problems: [`${path}: ${problem}`] },
  })
}
