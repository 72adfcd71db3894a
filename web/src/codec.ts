import { jsonCodec } from './codec-json.ts'
import { msgpackCodec } from './codec-msgpack.ts'
import type { ClientMessage, EndMessage, ServerMessage } from './message.ts'

/** One WebSocket message: text or binary, as the encoding has it. */
export type Frame = string | Uint8Array<ArrayBuffer>

/** An encoding of the session protocol. */
export interface Codec {
  /** The WebSocket subprotocol that names it. */
  readonly subprotocol: string
  encode(message: ClientMessage): Frame
  /** Throws on what is no message of this encoding. */
  decode(frame: string | ArrayBuffer): ServerMessage | EndMessage
}

export const codecs: Record<string, Codec> = { json: jsonCodec, msgpack: msgpackCodec }
