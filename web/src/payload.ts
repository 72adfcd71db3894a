import { Failure } from './error.ts'
import type { Data, Kind } from './message.ts'

/** What the application wants to send, as one of the three kinds that the protocol has. */
export interface Payload {
  readonly kind: Kind
  /** As a `send` carries it; absent while it is a Blob that was not read. */
  readonly data?: Data
  /** As a transfer carries it, and as `limits.message` counts it. */
  readonly raw: Uint8Array | string | Blob
}

/** Throws `bad_data` on what JSON cannot say. */
export function payloadOf(value: unknown): Payload {
  if (value instanceof Blob) return { kind: 'bytes', raw: value }
  const bytes = bytesOf(value)
  if (bytes) return { kind: 'bytes', data: bytes, raw: bytes }
  if (typeof value === 'string') {
    const text = wellFormed(value)
    return { kind: 'text', data: text, raw: text }
  }
  const raw = jsonText('data', value)
  return { kind: 'json', data: JSON.parse(raw), raw }
}

/** The value that a transfer has carried. Throws if its bytes are not of that kind. */
export function valueOf(kind: Kind, bytes: Uint8Array): Data {
  if (kind === 'bytes') return bytes
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  return kind === 'json' ? JSON.parse(text) : text
}

/** The bytes of an ArrayBuffer, typed array or DataView, without a copy; undefined for anything else. */
export function bytesOf(value: unknown): Uint8Array | undefined {
  if (value instanceof ArrayBuffer) return new Uint8Array(value)
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
  return undefined
}

/** The bytes of a piece: of text, those of its UTF-8. */
export function sizeOf(raw: Uint8Array | string | Blob): number {
  if (raw instanceof Blob) return raw.size
  return typeof raw === 'string' ? new Blob([raw]).size : raw.byteLength
}

/**
 * A value as JSON says it, so that both encodings carry the same: dates are strings, undefined
 * fields are left out, NaN is null, and a lone surrogate is U+FFFD.
 */
export function jsonText(field: 'data' | 'meta', value: unknown): string {
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
  return text
}

/** Text without lone surrogates, which UTF-8 cannot say. */
export function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\uFFFD')
}
