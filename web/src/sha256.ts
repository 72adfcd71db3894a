// SHA-256 (FIPS 180-4) in pieces: crypto.subtle wants the whole payload at once, and is missing
// on pages that did not come over TLS.

// The first 32 bits of the fractional parts of the cube (K) and square (H) roots of the first primes.
const K = new Int32Array(64)
const H = new Int32Array(8)
const fraction = (root: number) => ((root - Math.floor(root)) * 2 ** 32) | 0
for (let n = 2, count = 0; count < 64; n++) {
  let prime = true
  for (let by = 2; by * by <= n; by++) if (n % by === 0) prime = false
  if (!prime) continue
  if (count < 8) H[count] = fraction(Math.sqrt(n))
  K[count++] = fraction(Math.cbrt(n))
}

const w = new Int32Array(64)

/** The SHA-256 of bytes that come piece by piece. */
export class Sha256 {
  private readonly state = H.slice()
  private readonly block = new Uint8Array(64)
  private filled = 0 // how much of block waits for the rest
  private length = 0

  update(bytes: Uint8Array): this {
    this.length += bytes.length
    let at = 0
    if (this.filled > 0) {
      at = Math.min(64 - this.filled, bytes.length)
      this.block.set(bytes.subarray(0, at), this.filled)
      this.filled += at
      if (this.filled < 64) return this
      this.compress(this.block, 0)
    }
    for (; at + 64 <= bytes.length; at += 64) this.compress(bytes, at)
    this.block.set(bytes.subarray(at))
    this.filled = bytes.length - at
    return this
  }

  /** The digest in lower-case hex. Nothing can be added after it. */
  hex(): string {
    const { length } = this
    const padding = new Uint8Array(((119 - (length % 64)) % 64) + 9)
    padding[0] = 0x80
    const view = new DataView(padding.buffer)
    view.setBigUint64(padding.length - 8, BigInt(length) * 8n)
    this.update(padding)
    return Array.from(this.state, (word) => (word >>> 0).toString(16).padStart(8, '0')).join('')
  }

  private compress(bytes: Uint8Array, at: number): void {
    for (let i = 0; i < 16; i++, at += 4) {
      w[i] = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
    }
    for (let i = 16; i < 64; i++) {
      const x = w[i - 15]!
      const y = w[i - 2]!
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3)
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10)
      w[i] = (w[i - 16]! + s0 + w[i - 7]! + s1) | 0
    }
    const { state } = this
    let a = state[0]!
    let b = state[1]!
    let c = state[2]!
    let d = state[3]!
    let e = state[4]!
    let f = state[5]!
    let g = state[6]!
    let h = state[7]!
    for (let i = 0; i < 64; i++) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7))
      const t1 = (h + s1 + (g ^ (e & (f ^ g))) + K[i]! + w[i]!) | 0
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))
      const t2 = (s0 + ((a & b) | (c & (a | b)))) | 0
      h = g
      g = f
      f = e
      e = (d + t1) | 0
      d = c
      c = b
      b = a
      a = (t1 + t2) | 0
    }
    state[0]! += a
    state[1]! += b
    state[2]! += c
    state[3]! += d
    state[4]! += e
    state[5]! += f
    state[6]! += g
    state[7]! += h
  }
}
