// Frames of a data channel (docs/protocol.md): a message is one to a hundred of them.

const NAME = 12
const HEADER = 15
const MAX_PAYLOAD = 16384 - HEADER
const MAX_CHUNKS = 100
const COMPRESS_FROM = 512

// Bits of the tag byte.
const LAST = 0x01
const META = 0x02
const BINARY = 0x04
const NOT_TEXT = 0x08
const ZLIB = 0x10

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** channelName returns the 12 bytes that name a channel, and throws if the name is longer. */
export function channelName(name) {
  const bytes = encoder.encode(name)
  if (bytes.length > NAME) throw new RangeError(`channel name of ${bytes.length} bytes, at most ${NAME}`)
  const padded = new Uint8Array(NAME)
  padded.set(bytes)
  return padded
}

/** frame builds a single frame; progress is 0 to 255. */
export function frame(name, nonce, tag, progress, payload) {
  const out = new Uint8Array(HEADER + payload.length)
  out.set(channelName(name))
  out.set([nonce, tag, progress], NAME)
  out.set(payload, HEADER)
  return out
}

/** signal builds the empty frame of an internal channel, such as @_ping. */
export const signal = (name, nonce = 0) => frame(name, nonce, LAST, 255, new Uint8Array())

/** encode returns the frames of a message. meta goes with binary data only. */
export async function encode(name, nonce, data, meta) {
  const binary = isBinary(data)
  if (meta != null && !binary) throw new TypeError('meta goes with binary data only')
  let tag = typeof data === 'string' ? 0 : NOT_TEXT
  let payload
  if (binary) {
    tag |= BINARY
    payload = await toBytes(data)
  } else {
    payload = encoder.encode(typeof data === 'string' ? data : JSON.stringify(data))
    if (payload.length >= COMPRESS_FROM) {
      tag |= ZLIB
      payload = await pipe(payload, new CompressionStream('deflate'))
    }
  }
  const chunks = meta == null ? [] : [[tag | META, encoder.encode(JSON.stringify(meta))]]
  for (let at = 0; at === 0 || at < payload.length; at += MAX_PAYLOAD) {
    chunks.push([tag, payload.subarray(at, at + MAX_PAYLOAD)])
  }
  if (chunks.length > MAX_CHUNKS) throw new RangeError(`message of ${chunks.length} chunks, at most ${MAX_CHUNKS}`)
  chunks.at(-1)[0] |= LAST
  return chunks.map(([tag, chunk], i) => frame(name, nonce, tag, Math.round((255 * (i + 1)) / chunks.length), chunk))
}

/** Assembler puts the frames of one link together again. */
export class Assembler {
  #partial = new Map()

  /**
   * push takes one frame. It returns null for what is no frame, else {name, progress, meta} and,
   * with the last frame of a message, a function `data` that decodes it (it may throw).
   */
  push(buffer) {
    const bytes = new Uint8Array(buffer)
    if (bytes.length < HEADER) return null
    const name = decoder.decode(bytes.subarray(0, NAME)).replaceAll('\0', '')
    const [nonce, tag, progress] = bytes.subarray(NAME, HEADER)
    const payload = bytes.subarray(HEADER)
    const key = `${nonce}:${name}`
    const partial = this.#partial.get(key) ?? { chunks: [], meta: undefined }
    if (tag & META) partial.meta = JSON.parse(decoder.decode(payload))
    else if (partial.chunks.length < MAX_CHUNKS) partial.chunks.push(payload)
    const seen = { name, progress: progress / 255, meta: partial.meta }
    if (tag & LAST) {
      this.#partial.delete(key)
      seen.data = () => decode(tag, partial.chunks)
    } else {
      this.#partial.set(key, partial)
    }
    return seen
  }
}

async function decode(tag, chunks) {
  let payload = new Uint8Array(await new Blob(chunks).arrayBuffer())
  if (tag & ZLIB) payload = await pipe(payload, new DecompressionStream('deflate'))
  if (tag & BINARY) return payload
  const text = decoder.decode(payload)
  return tag & NOT_TEXT ? JSON.parse(text) : text
}

const isBinary = data => data instanceof ArrayBuffer || ArrayBuffer.isView(data) || data instanceof Blob

async function toBytes(data) {
  if (data instanceof Blob) return new Uint8Array(await data.arrayBuffer())
  return new Uint8Array(data)
}

async function pipe(bytes, transform) {
  const stream = new Blob([bytes]).stream().pipeThrough(transform)
  return new Uint8Array(await new Response(stream).arrayBuffer())
}
