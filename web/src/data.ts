import { Failure } from './error.ts'
import type { Data } from './message.ts'

/** The bytes of an ArrayBuffer, typed array or DataView, without a copy; undefined for anything else. */
export function bytesOf(value: unknown): Uint8Array | undefined {
  if (value instanceof ArrayBuffer) return new Uint8Array(value)
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
  return undefined
}

/** What the application wants to send, as one of the three kinds that the protocol has. */
export function dataOf(value: unknown): Data {
  return bytesOf(value) ?? jsonValue('data', value)
}

/**
 * A value as JSON says it, so that both encodings carry the same: dates are strings, undefined
 * fields are left out, NaN is null, and a lone surrogate is U+FFFD.
 */
export function jsonValue(field: 'data' | 'meta', value: unknown): Data {
  let text: string | undefined
  try {
    text = JSON.stringify(value, function (this: Record<string, unknown>, key, item: unknown) {
      const original = this[key] // item has been through toJSON, which Node's Buffer has
      if (bytesOf(original) || original instanceof Blob) throw new TypeError('bytes may be the whole of data, not a part')
      return typeof item === 'string' ? wellFormed(item) : item
    })
  } catch (error) {
    throw new Failure('bad_data', `${field}: ${(error as Error).message}`)
  }
  if (text === undefined) throw new Failure('bad_data', `${field}: JSON cannot say ${typeof value}`)
  return JSON.parse(text)
}

function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\uFFFD')
}
