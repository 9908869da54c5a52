import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../core/random.ts'
import { createCipher, keyIdOf } from './cipher.ts'

const ONE = Buffer.alloc(32, 1).toString('base64')
const TWO = Buffer.alloc(32, 2).toString('hex')
const random = seededRandom('cipher')

describe('stored credentials are encrypted', () => {
  test('any text comes back, under its own name only', () => {
    const cipher = createCipher([ONE], random)
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string(), (text, name) => {
        const sealed = cipher.seal(text, name)
        expect(cipher.open(sealed, name)).toBe(text)
        expect(thrownBy(() => cipher.open(sealed, `${name}x`)).code).toBe('stored_credential_damaged')
      }),
    )
  })

  test('the same text is never encrypted to the same bytes', () => {
    const cipher = createCipher([ONE], random)
    const sealed = new Set(Array.from({ length: 100 }, () => cipher.seal('secret', 'a/b')))
    expect(sealed.size).toBe(100)
  })

  test('one changed character anywhere is noticed', () => {
    const cipher = createCipher([ONE], random)
    const sealed = cipher.seal('a secret', 'a/b')
    for (let index = 0; index < sealed.length; index++) {
      const other = sealed[index] === 'A' ? 'B' : 'A'
      const changed = sealed.slice(0, index) + other + sealed.slice(index + 1)
      // The last character of base64 has bits that mean nothing.
      if (Buffer.from(changed.split('.')[2] ?? '', 'base64url').equals(bytesOf(sealed)) && index > 12) continue
      expect(() => cipher.open(changed, 'a/b')).toThrow(expect.objectContaining({ name: 'HoldfastError' }))
    }
  })

  test('several keys: the first encrypts, all decrypt', () => {
    const old = createCipher([ONE], random)
    const both = createCipher([TWO, ONE], random)
    const sealed = old.seal('secret', 'a/b')
    expect(both.open(sealed, 'a/b')).toBe('secret')
    expect(keyIdOf(both.seal('secret', 'a/b'))).toBe(both.keyId)
    expect(both.keyId).not.toBe(old.keyId)
  })

  test('errors name the keys by their ids, and show no key', () => {
    const sealed = createCipher([ONE], random).seal('the secret text', 'a/b')
    const errors = [
      thrownBy(() => createCipher([TWO], random).open(sealed, 'a/b')),
      thrownBy(() => createCipher([], random).open(sealed, 'a/b')),
      thrownBy(() => createCipher([], random).seal('x', 'a/b')),
      thrownBy(() => createCipher([`${ONE}secret`], random)),
      thrownBy(() => createCipher([ONE], random).open(`${sealed}AAAA`, 'a/b')),
      thrownBy(() => createCipher([ONE], random).open('rubbish', 'a/b')),
    ]
    expect(errors.map(({ code }) => code)).toEqual([
      'encryption_key_unknown',
      'encryption_key_missing',
      'encryption_key_missing',
      'encryption_key_invalid',
      'stored_credential_damaged',
      'stored_credential_damaged',
    ])
    for (const error of errors) {
      const text = `${error.stack} ${JSON.stringify(error)}`
      for (const secret of [ONE, TWO, 'the secret text', `${ONE}secret`]) expect(text).not.toContain(secret)
    }
    expect(errors[0]?.message).toContain(keyIdOf(sealed))
  })
})

function bytesOf(sealed: string): Buffer {
  return Buffer.from(sealed.split('.')[2] ?? '', 'base64url')
}

function thrownBy(act: () => unknown): Error & { code: string } {
  try {
    act()
  } catch (error) {
    return error as Error & { code: string }
  }
  throw new Error('nothing was thrown')
}
