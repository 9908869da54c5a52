import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Line, readLines } from './lines.ts'

async function* inPieces(data: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let from = 0
  for (let index = 0; from < data.length; index++) {
    const size = sizes[index % sizes.length] as number
    yield data.subarray(from, from + size)
    from += size
  }
}

function linesOf(data: string | Uint8Array, maximumBytes = 100, sizes = [7]): Promise<Line[]> {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data
  return Array.fromAsync(readLines(inPieces(bytes, sizes), { maximumBytes }))
}

describe('reading lines', () => {
  it('gives back every byte of any text, in whatever pieces it comes', async () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'é', '€', '😀', '\n', '\r', '\r\n', ' ', '"') })
    const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 })
    await fc.assert(
      fc.asyncProperty(text, sizes, async (text, sizes) => {
        const lines = await linesOf(text, 1000, sizes)
        expect(lines.map(({ text, ending }) => `${text}${ending}`).join('')).toBe(text)
        expect(lines.map(({ number }) => number)).toEqual(lines.map((_, index) => index + 1))
      }),
    )
  })

  it('takes away the byte order mark, at the start only', async () => {
    const lines = await linesOf('\ufeffa\n\ufeffb')
    expect(lines.map(({ text }) => text)).toEqual(['a', '\ufeffb'])
  })

  it('a line that is too long is reported with its length, and the next is read', async () => {
    const lines = await linesOf(`a\n${'x'.repeat(101)}\n${'y'.repeat(100)}\r\nz`, 100, [13])
    expect(lines.map(({ text, problem }) => text ?? problem)).toEqual([
      'a',
      'the line has 101 bytes, more than 100',
      'y'.repeat(100),
      'z',
    ])
  })

  it('a line of 100 MB is skipped without being held', async () => {
    const piece = Buffer.alloc(1024 * 1024, 0x78)
    async function* huge() {
      for (let index = 0; index < 100; index++) yield piece
      yield Buffer.from('\nafter\n')
    }
    const before = process.memoryUsage().arrayBuffers
    const lines = await Array.fromAsync(readLines(huge(), { maximumBytes: 4096 }))
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20e6)
    expect(lines.map(({ number, text }) => [number, text])).toEqual([
      [1, undefined],
      [2, 'after'],
    ])
  })

  it('a line that is not UTF-8 is reported, and the next is read', async () => {
    const lines = await linesOf(Buffer.from([0x61, 0xe9, 0x0a, 0x62]))
    expect(lines.map(({ text, problem }) => text ?? problem)).toEqual(['it is not UTF-8', 'b'])
  })
})
