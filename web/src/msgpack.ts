// The part of MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md) that the session
// protocol has: what JSON can say, and bytes. No extension types, and map keys are strings.

const utf8 = new TextEncoder()
const utf8Text = new TextDecoder('utf-8', { ignoreBOM: true })
const kept = 128 * 1024 // of the buffer that encode() writes to, between its calls

let buffer = new Uint8Array(kept)
let view = new DataView(buffer.buffer)
let at = 0

/** A value as MessagePack. Fields that are undefined are left out. */
export function encode(value: unknown): Uint8Array<ArrayBuffer> {
  at = 0
  write(value)
  const frame = buffer.slice(0, at)
  if (buffer.length > kept) grow(kept)
  return frame
}

/** Throws on what is not exactly one value of that part of MessagePack. */
export function decode(frame: ArrayBuffer): unknown {
  const reader = new Reader(frame)
  const value = reader.value()
  if (reader.at !== frame.byteLength) throw new RangeError('more than one value')
  return value
}

function grow(size: number): void {
  const old = buffer
  buffer = new Uint8Array(size)
  buffer.set(old.subarray(0, Math.min(at, size)))
  view = new DataView(buffer.buffer)
}

function reserve(bytes: number): void {
  if (at + bytes > buffer.length) grow(Math.max(at + bytes, 2 * buffer.length))
}

// A type that a number follows, of 1, 2 or 4 bytes; `code` is the type of the first, which arrays and maps do not have.
function head(code: number, number: number): void {
  reserve(5)
  if (number < 0x100 && code < 0xdb) {
    buffer[at++] = code
    buffer[at++] = number
  } else if (number < 0x10000) {
    buffer[at++] = code + 1
    view.setUint16(at, number)
    at += 2
  } else {
    buffer[at++] = code + 2
    view.setUint32(at, number)
    at += 4
  }
}

function put(byte: number): void {
  reserve(1)
  buffer[at++] = byte
}

function raw(bytes: Uint8Array): void {
  reserve(bytes.length)
  buffer.set(bytes, at)
  at += bytes.length
}

function write(value: unknown): void {
  if (value == null) put(0xc0)
  else if (typeof value === 'boolean') put(value ? 0xc3 : 0xc2)
  else if (typeof value === 'number') writeNumber(value)
  else if (typeof value === 'string') writeText(value)
  else if (value instanceof Uint8Array) {
    head(0xc4, value.length)
    raw(value)
  } else if (Array.isArray(value)) {
    if (value.length < 16) put(0x90 + value.length)
    else head(0xdb, value.length)
    value.forEach(write)
  } else {
    const map = value as Record<string, unknown>
    const keys = Object.keys(map).filter((key) => map[key] !== undefined)
    if (keys.length < 16) put(0x80 + keys.length)
    else head(0xdd, keys.length)
    for (const key of keys) {
      writeText(key)
      write(map[key])
    }
  }
}

function writeText(text: string): void {
  const start = at
  if (text.length < 32) {
    // Most are short and ASCII, where calling the platform costs more than it does.
    put(0xa0 + text.length)
    reserve(32)
    for (let i = 0, char; i < text.length && (char = text.charCodeAt(i)) < 128; i++) buffer[at++] = char
    if (at - start > text.length) return
    at = start
  }
  const bytes = utf8.encode(text)
  if (bytes.length < 32) put(0xa0 + bytes.length)
  else head(0xd9, bytes.length)
  raw(bytes)
}

function writeNumber(number: number): void {
  if (!Number.isInteger(number) || number < -32 || number > 0xffffffff) {
    // As a float: no number of JavaScript's is lost by it, and the server takes 1.0 for 1.
    put(0xcb)
    reserve(8)
    view.setFloat64(at, number)
    at += 8
  } else if (number < 128) put(number & 0xff)
  else head(0xcc, number)
}

class Reader {
  at = 0
  private readonly bytes: Uint8Array
  private readonly view: DataView

  constructor(frame: ArrayBuffer) {
    this.bytes = new Uint8Array(frame)
    this.view = new DataView(frame)
  }

  value(): unknown {
    const type = this.uint(1)
    if (type < 0x80) return type
    if (type < 0x90) return this.map(type & 15)
    if (type < 0xa0) return this.array(type & 15)
    if (type < 0xc0) return this.text(type & 31)
    if (type >= 0xe0) return type - 0x100
    const width = 1 << (type & 3)
    switch (type) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return this.raw(this.uint(width))
      case 0xca:
        return this.view.getFloat32(this.skip(4))
      case 0xcb:
        return this.view.getFloat64(this.skip(8))
      case 0xcc:
      case 0xcd:
      case 0xce:
      case 0xcf:
        return this.uint(width)
      case 0xd0:
        return this.view.getInt8(this.skip(1))
      case 0xd1:
        return this.view.getInt16(this.skip(2))
      case 0xd2:
        return this.view.getInt32(this.skip(4))
      case 0xd3:
        return Number(this.view.getBigInt64(this.skip(8)))
      case 0xd9:
        return this.text(this.uint(1))
      case 0xda:
        return this.text(this.uint(2))
      case 0xdb:
        return this.text(this.uint(4))
      case 0xdc:
        return this.array(this.uint(2))
      case 0xdd:
        return this.array(this.uint(4))
      case 0xde:
        return this.map(this.uint(2))
      case 0xdf:
        return this.map(this.uint(4))
    }
    throw new TypeError(`type ${type}`)
  }

  private skip(bytes: number): number {
    const { at } = this
    this.at += bytes
    if (this.at > this.bytes.length) throw new RangeError('it ends too early')
    return at
  }

  private uint(width: number): number {
    const { view } = this
    const at = this.skip(width)
    if (width === 1) return view.getUint8(at)
    if (width === 2) return view.getUint16(at)
    if (width === 4) return view.getUint32(at)
    return Number(view.getBigUint64(at))
  }

  private raw(length: number): Uint8Array {
    const at = this.skip(length)
    return this.bytes.subarray(at, at + length)
  }

  private text(length: number): string {
    const bytes = this.raw(length)
    let text = ''
    if (length < 32) for (let i = 0; i < length && bytes[i]! < 128; i++) text += String.fromCharCode(bytes[i]!)
    return text.length === length ? text : utf8Text.decode(bytes)
  }

  private array(length: number): unknown[] {
    const array = []
    while (length-- > 0) array.push(this.value())
    return array
  }

  private map(length: number): Record<string, unknown> {
    const map: Record<string, unknown> = {}
    while (length-- > 0) {
      const key = this.value()
      if (typeof key !== 'string') throw new TypeError('a map key is no string')
      const value = this.value()
      if (key !== '__proto__') map[key] = value
      // By assignment it would replace the map's prototype.
      else Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true })
    }
    return map
  }
}
