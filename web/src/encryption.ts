import { Failure } from './error.ts'
import type { Data, Kind } from './message.ts'
import { valueOf } from './payload.ts'

const version = 1
const nonceSize = 12
const iterations = 600_000
const newline = 10

/** The most bytes that a message grows by, besides its meta. */
export const overhead = 160

/** What is sealed in a line of its own before the payload. */
interface Head {
  from: string[]
  kind: Kind
  meta?: unknown
}

/** What a channel is encrypted by (docs/gateway.md, 'End-to-end encryption'). */
export class Secret {
  private readonly key: Promise<CryptoKey>
  private readonly about: Uint8Array<ArrayBuffer>

  constructor(
    room: string,
    private readonly channel: string,
    readonly passphrase: string,
  ) {
    if (!globalThis.crypto?.subtle) throw new Failure('insecure_context', `channel ${channel}: browsers encrypt on pages of https: and localhost only`)
    const utf8 = new TextEncoder()
    this.about = utf8.encode(`genosrtc\0${channel}\0${room}`)
    this.key = crypto.subtle
      .importKey('raw', utf8.encode(passphrase), 'PBKDF2', false, ['deriveKey'])
      .then((base) =>
        crypto.subtle.deriveKey(
          { name: 'PBKDF2', hash: 'SHA-256', salt: this.about, iterations },
          base,
          { name: 'AES-GCM', length: 256 },
          false,
          ['encrypt', 'decrypt'],
        ),
      )
  }

  /** A payload as only who has the passphrase can read it. `from` are the peer ids that others may know us by. */
  async seal(from: string[], kind: Kind, payload: Blob, meta: unknown): Promise<Uint8Array> {
    const head: Head = { from, kind, meta }
    const plain = await new Blob([JSON.stringify(head), '\n', payload]).arrayBuffer()
    const nonce = crypto.getRandomValues(new Uint8Array(nonceSize))
    const sealed = await crypto.subtle.encrypt(this.method(nonce), await this.key, plain)
    return new Uint8Array(await new Blob([new Uint8Array([version]), nonce, sealed]).arrayBuffer())
  }

  /** What was sealed. Throws `unreadable` if that is not what a peer of that id has sealed with the passphrase. */
  async open(from: string, data: Data): Promise<{ data: Data; meta: unknown }> {
    try {
      if (!(data instanceof Uint8Array) || data[0] !== version) throw new TypeError('it is not encrypted')
      const [nonce, sealed] = [data.slice(1, 1 + nonceSize), data.slice(1 + nonceSize)]
      const plain = new Uint8Array(await crypto.subtle.decrypt(this.method(nonce), await this.key, sealed))
      const end = plain.indexOf(newline)
      const head = valueOf('json', plain.subarray(0, end)) as Head
      if (!head.from.includes(from)) throw new TypeError(`it was sealed by ${head.from[0]}`)
      return { data: valueOf(head.kind, plain.slice(end + 1)), meta: head.meta }
    } catch (error) {
      const why = (error as Error).message || 'another passphrase, or not what was sent' // browsers do not say
      throw new Failure('unreadable', `channel ${this.channel}: a message of ${from}: ${why}`)
    }
  }

  private method(iv: Uint8Array<ArrayBuffer>): AesGcmParams {
    return { name: 'AES-GCM', iv, additionalData: this.about }
  }
}
