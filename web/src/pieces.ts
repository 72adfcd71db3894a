// Long messages on a data channel (docs/gateway.md, 'WebRTC'): each piece is a MessagePack bin, and nil follows the last.

const nil = 0xc0
const headers: Record<number, number> = { 0xc4: 2, 0xc5: 3, 0xc6: 5 } // bytes, by the first of them
const largest = 16 * 1024 * 1024

/** What is sent for a message: itself, if it has at most `most` bytes, or its pieces. */
export function* split(message: Uint8Array<ArrayBuffer>, most: number): Generator<Uint8Array<ArrayBuffer>> {
  if (message.length <= most) return yield message
  for (let at = 0; at < message.length; at += most - 5) {
    const bytes = message.subarray(at, at + most - 5)
    const piece = new Uint8Array(5 + bytes.length)
    piece[0] = 0xc6
    new DataView(piece.buffer).setUint32(1, bytes.length)
    piece.set(bytes, 5)
    yield piece
  }
  yield new Uint8Array([nil])
}

/** Puts messages together. */
export class Joiner {
  private pieces: Uint8Array<ArrayBuffer>[] = []
  private bytes = 0

  /** Takes what has come, and returns the message that it is or completes. Throws RangeError on one of more than 16 MiB. */
  take(data: ArrayBuffer): ArrayBuffer | undefined {
    const first = new Uint8Array(data, 0, Math.min(1, data.byteLength))[0] ?? 0
    const header = headers[first]
    if (header) {
      this.pieces.push(new Uint8Array(data, header))
      this.bytes += data.byteLength - header
      if (this.bytes > largest) throw new RangeError(`a message of more than ${largest} bytes`)
      return undefined
    }
    if (first !== nil) return data
    const message = new Uint8Array(this.bytes)
    let at = 0
    for (const piece of this.pieces) {
      message.set(piece, at)
      at += piece.length
    }
    this.pieces = []
    this.bytes = 0
    return message.buffer
  }
}
