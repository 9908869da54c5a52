import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileExpression, compileTemplate } from './template.ts'

const scope = {
  input: { email: 'a@b.c', age: 40, tags: ['x', 'y'], nested: { deep: true } },
  outputs: { crm: { id: 7 } },
}

describe('templates', () => {
  it('a text that is one expression gives its value with its type', async () => {
    expect(await compileTemplate('{{ input.age }}')(scope)).toBe(40)
    expect(await compileTemplate('{{ input.nested }}')(scope)).toEqual({ deep: true })
    expect(await compileTemplate('{{ outputs.crm.id }}')(scope)).toBe(7)
  })

  it('an expression amid text gives text', async () => {
    expect(await compileTemplate('lead-{{ input.email }}/{{ input.age }}!')(scope)).toBe('lead-a@b.c/40!')
  })

  it('D17: amid text nothing may be missing, or all records without it would be one operation', async () => {
    await expect(compileTemplate('lead-{{ input.phone }}')(scope)).rejects.toMatchObject({
      code: 'template_value_missing',
      class: 'validation',
    })
  })

  it('goes into objects and lists; members that find nothing are left out', async () => {
    const template = compileTemplate({ a: '{{ input.phone }}', b: ['{{ input.email }}', 1, null], c: { d: 'text' } })
    expect(await template(scope)).toEqual({ b: ['a@b.c', 1, null], c: { d: 'text' } })
  })

  it('an expression may hold objects, whose ends look like its own', async () => {
    expect(await compileTemplate('{{ {"a": {"b": input.age}} }}')(scope)).toEqual({ a: { b: 40 } })
    expect(await compileTemplate('{{{"a": {"b": 1}}}}')(scope)).toEqual({ a: { b: 1 } })
    expect(await compileTemplate('<{{ {"a": {"b": 1}} }}>')(scope)).toBe('<{"a":{"b":1}}>')
  })

  it('an expression may stand without braces where only an expression can stand', async () => {
    expect(await compileExpression('input.email')(scope)).toBe('a@b.c')
    expect(await compileExpression('{{ input.email }}')(scope)).toBe('a@b.c')
  })

  it.each(['{{ input. }}', '{{ }}', '{{ input.email', '{{ $$$( }}'])('%j is refused at start', (text) => {
    expect(() => compileTemplate(text)).toThrow(expect.objectContaining({ code: 'invalid_expression' }))
  })

  it.each(['{{ $now() }}', '{{ "x" & $string($millis()) }}', '{{ $random() }}', '{{ input.tags ~> $shuffle() }}'])(
    'R081: %s would differ on every retry and is refused',
    (text) => {
      expect(() => compileTemplate(text)).toThrow(/differ on every retry/)
    },
  )

  it('a value that only looks like one of these is fine', async () => {
    expect(await compileTemplate('{{ "$now" }}')(scope)).toBe('$now')
  })

  it('an expression that does not fit the record is a validation failure, not a crash', async () => {
    await expect(compileTemplate('{{ $number(input.email) }}')(scope)).rejects.toMatchObject({
      code: 'expression_failed',
      class: 'validation',
    })
  })

  it('data without expressions comes back as it is', async () => {
    const plain = fc.jsonValue().filter((value) => !JSON.stringify(value).includes('{{'))
    await fc.assert(
      fc.asyncProperty(plain, async (value) => {
        expect(JSON.stringify(await compileTemplate(value)({}))).toBe(JSON.stringify(value))
      }),
    )
  })

  it('any text is compiled or refused, quickly', () => {
    const text = fc.string({ unit: fc.constantFrom('{{', '}}', '{', '}', 'a', ' ', '.', '"', '$') })
    fc.assert(
      fc.property(text, (value) => {
        try {
          compileTemplate(value)
        } catch (error) {
          expect(error).toMatchObject({ code: 'invalid_expression' })
        }
      }),
    )
  })
})
