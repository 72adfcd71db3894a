// Values that tests send, named by plain JSON so that a page and a Node client make the same ones:
// {value: any JSON}, {bytes: [0..255, ...]} or {random: size}.

import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'

/** make returns the value that a spec names. */
export function make(spec) {
  if ('bytes' in spec) return Uint8Array.from(spec.bytes)
  if ('random' in spec) return noise(spec.random)
  return spec.value
}

/** fingerprint is equal for equal values only: type and content, long ones as a digest. */
export function fingerprint(data) {
  if (data instanceof Uint8Array) return shorten('bytes', bytesToHex(data))
  if (typeof data === 'string') return shorten('string', data)
  return shorten('json', JSON.stringify(data, sortKeys))
}

// The noise is the same for the same size, and no compressor makes it smaller.
function noise(size) {
  const bytes = new Uint8Array(size)
  let state = size | 1
  for (let i = 0; i < size; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[i] = state
  }
  return bytes
}

const shorten = (type, text) =>
  text.length <= 200 ? `${type} ${text}` : `${type} of ${text.length}, sha256 ${bytesToHex(sha256(utf8ToBytes(text)))}`

const sortKeys = (_, value) =>
  value && typeof value === 'object' && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value
