import type { IncomingTransfer } from '../client.ts'
import { Failure } from '../error.ts'
import type { Kind, Offer, TransferMessage } from '../message.ts'
import { wellFormed } from '../payload.ts'
import { Sha256 } from '../sha256.ts'
import { Stream, type Sink } from './sink.ts'

const unread = 16 // windows that wait for a reader; each connection may add one

/** Who is told what becomes of a transfer. */
export interface Owner {
  say(message: TransferMessage): void
  progress(fraction: number): void
  /** It has ended; the answer to whoever asks for it again. */
  over(answer: TransferMessage | undefined): void
}

/** A transfer that comes to us (docs/gateway.md, 'Transfers'). */
export class Incoming implements IncomingTransfer {
  readonly peer: string
  readonly meta: any
  readonly size: number
  readonly kind: Kind
  private readonly id: number
  private readonly ending = new AbortController()
  readonly signal = this.ending.signal

  private sink: Sink | undefined
  private readonly hash = new Sha256()
  private received = 0 // bytes that have come
  private used = 0 // bytes that the sink has used
  private acknowledged = 0
  private asked = true // on this connection; before that the server may not know the transfer
  private whole = false // the hash was right
  private over = false

  constructor(
    offer: Offer,
    private readonly window: number,
    private readonly owner: Owner,
  ) {
    this.peer = offer.from
    this.meta = offer.meta
    this.size = offer.size
    this.kind = offer.kind
    this.id = offer.transfer
  }

  /** Whether somebody has said where the bytes go, or that they are not wanted. */
  get settled(): boolean {
    return this.sink !== undefined || this.over
  }

  stream(): ReadableStream<Uint8Array> {
    if (this.settled) throw new Failure('bad_message', 'stream: it is too late')
    const stream = new Stream(this.taken, (reason) => this.cancel(String(reason ?? 'cancelled')))
    this.sink = stream
    return stream.readable
  }

  cancel(reason = 'cancelled'): void {
    this.give(new Failure('cancelled', `transfer: ${reason}`), wellFormed(reason.slice(0, 85))) // 255 bytes at most
  }

  /** Says where the bytes go. */
  into(sink: (taken: (bytes: number) => void) => Sink): void {
    this.sink = sink(this.taken)
  }

  /** The server asks what we have; it takes us to have `offset`. */
  answer(offset: number): void {
    if (this.over) return
    this.asked = true
    if (offset > this.received) return this.cancel('lost')
    this.acknowledged = this.received
    this.say({ op: 'begin', transfer: this.id, from: this.peer, offset: this.received })
  }

  /** The connection is gone. */
  suspend(): void {
    this.asked = false
  }

  chunk(offset: number, data: unknown): void {
    if (this.over || offset !== this.received) return // it was sent before we said what we have
    if (!(data instanceof Uint8Array) || this.received + data.length > this.size) return this.corrupt()
    if (this.received + data.length - this.used > unread * this.window) return this.cancel('slow')
    this.hash.update(data)
    this.received += data.length
    this.sink!.write(data)
  }

  end(hash: string | undefined): void {
    if (this.over || this.whole) return
    if (this.received !== this.size || this.hash.hex() !== hash) return this.corrupt()
    this.whole = true
    this.finish()
  }

  /** It will not be completed, and nobody has to be told but the application. */
  fail(error: Error): void {
    if (this.over) return
    this.close(undefined)
    this.sink?.fail(error)
    this.ending.abort(error)
  }

  private readonly taken = (bytes: number): void => {
    this.used += bytes
    if (this.used - this.acknowledged >= this.window / 8 || this.used === this.size) {
      this.acknowledged = this.used
      this.say({ op: 'ack', transfer: this.id, from: this.peer, offset: this.used })
    }
    if (this.used < this.size) this.owner.progress(this.used / this.size)
    else this.finish()
  }

  private finish(): void {
    if (this.over || !this.whole || this.used < this.size) return
    try {
      this.sink!.end()
    } catch {
      return this.corrupt()
    }
    this.close({ op: 'end', transfer: this.id, from: this.peer })
  }

  private corrupt(): void {
    this.give(new Failure('corrupt', 'transfer: what came is not what was sent'), 'corrupt')
  }

  // Gives it up.
  private give(error: Failure, reason: string): void {
    if (this.over) return
    this.close({ op: 'cancel', transfer: this.id, from: this.peer, reason })
    this.sink?.fail(error)
    this.ending.abort(error)
  }

  private close(answer: TransferMessage | undefined): void {
    this.over = true
    if (answer) this.say(answer)
    this.owner.over(answer)
  }

  private say(message: TransferMessage): void {
    if (this.asked) this.owner.say(message)
  }
}
