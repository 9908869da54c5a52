import { describe, expect, it } from 'vitest'
import { PRESET_NAMES } from './preset-names.ts'
import { configJsonSchema } from './schema.ts'

describe('the published JSON Schema', () => {
  const schema = configJsonSchema()
  const text = JSON.stringify(schema)

  it('is closed at the top and knows everything that can be written', () => {
    expect(schema).toMatchObject({ type: 'object', additionalProperties: false })
    expect(Object.keys(schema['properties'] as object)).toEqual(
      expect.arrayContaining(['store', 'integrations', 'pipelines', 'worker', 'retention', 'maxPayload']),
    )
  })

  it('tells editors the words and the patterns', () => {
    for (const word of PRESET_NAMES) expect(text).toContain(`"${word}"`)
    expect(text).toContain('ms|s|m|h|d')
    expect(text).toContain('Default 6 (D08)')
  })

  it('is JSON', () => {
    expect(JSON.parse(text)).toEqual(schema)
  })
})
