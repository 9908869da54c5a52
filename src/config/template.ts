/**
 * Texts with `{{ JSONata }}` in them: the code of declarative pipelines. Compiled once at start, so that a slip of the pen is
 * found before any record is accepted.
 */
import jsonata from 'jsonata'
import { configurationError, HoldfastError, messageOf } from '../core/errors.ts'

/** What expressions see: `input`, `outputs`, `key`, ..., and `answer` where there is one. */
export type TemplateScope = Readonly<Record<string, unknown>>

/** A template, ready to be filled in. `undefined`: the expression found nothing. */
export type Template = (scope: TemplateScope) => Promise<unknown>

type Part =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'expression'; readonly text: string; readonly evaluate: Template }

/** `}}` may also end an object inside an expression; this many candidates for the end are tried. */
const CLOSING_CANDIDATES = 20
/** They would differ on every retry, and with them what is sent under one idempotency key (R081, D17). */
const UNREPEATABLE = new Set(['now', 'millis', 'random', 'shuffle'])

/**
 * Any data whose texts may hold expressions. A text that is one expression gives its value, of whatever type; an expression
 * amid text gives text, and must find something. Members of objects that find nothing are left out.
 * @throws HoldfastError `invalid_expression`, naming the expression and the place in it.
 */
export function compileTemplate(value: unknown): Template {
  if (typeof value === 'string') return compileText(value)
  if (Array.isArray(value)) {
    const elements = value.map(compileTemplate)
    return async (scope) => Promise.all(elements.map(async (element) => (await element(scope)) ?? null))
  }
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).map(([key, member]) => [key, compileTemplate(member)] as const)
    return async (scope) => {
      const filled = await Promise.all(members.map(async ([key, member]) => [key, await member(scope)] as const))
      return Object.fromEntries(filled.filter(([, member]) => member !== undefined))
    }
  }
  return async () => value
}

/** One expression, with or without its `{{ }}`. @throws HoldfastError `invalid_expression` */
export function compileExpression(text: string): Template {
  return text.includes('{{') ? compileText(text) : compileSource(text)
}

function compileText(text: string): Template {
  const parts = splitTemplate(text)
  const [first] = parts
  if (!first || (parts.length === 1 && first.kind === 'text')) return async () => text
  if (parts.length === 1 && first.kind === 'expression') return first.evaluate
  return async (scope) => (await Promise.all(parts.map((part) => fillFragment(part, scope)))).join('')
}

/** Amid text nothing may be missing: `lead-{{ input.email }}` must not become `lead-`, the same for everybody. */
async function fillFragment(part: Part, scope: TemplateScope): Promise<string> {
  if (part.kind === 'text') return part.text
  const value = await part.evaluate(scope)
  if (value === undefined || value === null || value === '') {
    throw new HoldfastError({
      code: 'template_value_missing',
      class: 'validation',
      message: `"{{${part.text}}}" found nothing`,
      hint: `Give the record what "${part.text.trim()}" looks for, or change the pipeline.`,
    })
  }
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

function splitTemplate(text: string): Part[] {
  const parts: Part[] = []
  let end = 0
  for (let open = text.indexOf('{{'); open >= 0; open = text.indexOf('{{', end)) {
    if (open > end) parts.push({ kind: 'text', text: text.slice(end, open) })
    const expression = takeExpression(text, open + 2)
    parts.push(expression.part)
    end = expression.end
  }
  if (end < text.length) parts.push({ kind: 'text', text: text.slice(end) })
  return parts
}

/** The shortest text up to a `}}` that is an expression. */
function takeExpression(text: string, from: number): { part: Part; end: number } {
  let refusal: unknown
  let close = text.indexOf('}}', from)
  for (let tries = 0; close >= 0 && tries < CLOSING_CANDIDATES; tries++) {
    const source = text.slice(from, close)
    try {
      return { part: { kind: 'expression', text: source, evaluate: compileSource(source) }, end: close + 2 }
    } catch (error) {
      refusal ??= error
    }
    close = text.indexOf('}}', close + 1)
  }
  throw refusal ?? invalidExpression(text.slice(from), 'its "{{" has no "}}"')
}

function compileSource(source: string): Template {
  if (source.trim() === '') throw invalidExpression(source, 'it is empty')
  let compiled: jsonata.Expression
  try {
    compiled = jsonata(source)
  } catch (cause) {
    throw invalidExpression(source, messageOf(cause), cause)
  }
  refuseUnrepeatable(source, compiled.ast())
  return async (scope) => {
    try {
      return (await compiled.evaluate(scope)) as unknown
    } catch (cause) {
      throw new HoldfastError({
        code: 'expression_failed',
        class: 'validation',
        message: `"{{${source}}}" failed: ${messageOf(cause)}`,
        hint: 'The expression does not fit this record: correct the record, or change the pipeline.',
        cause,
      })
    }
  }
}

function refuseUnrepeatable(source: string, node: unknown): void {
  if (typeof node !== 'object' || node === null) return
  const { type, value } = node as { type?: unknown; value?: unknown }
  if (type === 'variable' && typeof value === 'string' && UNREPEATABLE.has(value)) {
    throw invalidExpression(source, `$${value}() would differ on every retry; take the value from the record`)
  }
  for (const child of Object.values(node)) refuseUnrepeatable(source, child)
}

function invalidExpression(expression: string, reason: string, cause?: unknown): HoldfastError {
  const shown = expression.length > 120 ? `${expression.slice(0, 117)}...` : expression
  return configurationError(
    'invalid_expression',
    `"${shown.trim()}" is not a usable JSONata expression: ${reason}`,
    'See jsonata.org for the language.',
    { expression: shown },
    cause,
  )
}
