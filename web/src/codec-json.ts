import type { Codec } from './codec.ts'
import type { Data, ServerMessage } from './message.ts'

/** JSON in text WebSocket messages; bytes are `{"$bin": base64}` (docs/gateway.md, 'Encoding details'). */
export const jsonCodec: Codec = {
  subprotocol: 'genosrtc.v1.json',

  encode: (message) => JSON.stringify('data' in message ? { ...message, data: wrap(message.data) } : message),

  decode(frame) {
    if (typeof frame !== 'string') throw new TypeError('bytes where JSON was agreed')
    const message = JSON.parse(frame) as ServerMessage
    if ('data' in message) message.data = unwrap(message.data)
    return message
  },
}

function wrap(data: Data): Data {
  if (data instanceof Uint8Array) return { $bin: toBase64(data) }
  if (isMap(data) && (Object.hasOwn(data, '$bin') || Object.hasOwn(data, '$map'))) return { $map: data }
  return data
}

function unwrap(data: Data): Data {
  if (!isMap(data)) return data
  if (typeof data.$bin === 'string') return Uint8Array.from(atob(data.$bin), (char) => char.charCodeAt(0))
  if (isMap(data.$map)) return data.$map
  return data
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function toBase64(bytes: Uint8Array): string {
  let binary = ''
  // In pieces, because a call takes a bounded number of arguments.
  for (let at = 0; at < bytes.length; at += 0x8000) {
    binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000))
  }
  return btoa(binary)
}
