import type { Codec } from './codec.ts'
import type { ServerMessage } from './message.ts'
import { decode, encode } from './msgpack.ts'

/** MessagePack in binary WebSocket messages; bytes are `bin`. */
export const msgpackCodec: Codec = {
  subprotocol: 'genosrtc.v1.msgpack',

  encode,

  decode(frame) {
    if (typeof frame === 'string') throw new TypeError('text where MessagePack was agreed')
    const message = decode(frame) as ServerMessage
    // The decoder gives a view of the whole frame; data.buffer should be the data alone.
    if (message.op === 'message' && message.data instanceof Uint8Array) message.data = message.data.slice()
    return message
  },
}
