import type { Frame } from './codec.ts'
import { Failure } from './error.ts'
import { sizeOf } from './payload.ts'

const capacity = 16 * 1024 * 1024

/** A send that the server has not acknowledged yet. */
export interface Entry {
  readonly seq: number
  /** Bytes that count against the outbox: those of the frame, or of the Blob that it will be made of. */
  size: number
  /** What goes over the wire; absent while its Blob is being read, or it is encrypted. */
  frame?: Frame | undefined
  /** Encrypts it: anew for each connection, since it says who we are. Refuses it where it cannot. */
  readonly seal?: () => void
  /** Whether a connection had it, so that it may be with the server. */
  gone?: boolean
  readonly settle: (error?: unknown) => void
}

/**
 * The sends that were not acknowledged yet, in order. They outlive a connection: what was written
 * to one that was lost is written again to the next. Holds 16 MiB; what does not fit is refused.
 */
export class Outbox {
  private entries: Entry[] = []
  private written = 0 // how many of entries this connection has
  private bytes = 0

  /** Appends an entry. Throws `queue_full`. */
  add(entry: Entry): void {
    if (this.bytes + entry.size > capacity) {
      throw new Failure('queue_full', `send: ${entry.size} bytes, and ${this.bytes} wait for the server already; at most ${capacity} may`)
    }
    this.bytes += entry.size
    this.entries.push(entry)
  }

  /** Appends an entry that an earlier page may have sent. */
  restore(entry: Entry): void {
    this.add(entry)
    this.written++ // as far as anybody knows
  }

  /** The first that wait and have a frame, with at most `most` bytes together. */
  first(most: number): (Entry & { frame: Frame })[] {
    const first: (Entry & { frame: Frame })[] = []
    for (const { frame, ...entry } of this.entries) {
      if (!frame) continue
      if ((most -= entry.size) < 0) break
      first.push({ ...entry, frame })
    }
    return first
  }

  /** The entry's frame was made. */
  fill(entry: Entry, frame: Frame): void {
    const size = sizeOf(frame)
    if (this.entries.includes(entry)) this.bytes += size - entry.size
    entry.size = size
    entry.frame = frame
  }

  /**
   * Writes what can be written, in order: an entry whose frame is not there yet holds up those
   * behind it. A frame above `most` bytes would end the session, so it is refused here.
   */
  flush(write: (frame: Frame) => void, most: number): void {
    for (let next; (next = this.entries[this.written])?.frame;) {
      if (next.size > most) {
        this.refuse(next.seq, new Failure('too_large', `send: ${next.size} bytes, the server takes at most ${most}`))
      } else {
        next.gone = true
        this.written++
        write(next.frame)
      }
    }
  }

  /** The server has everything up to seq. What this or an earlier connection did not write, it cannot have. */
  acknowledge(seq: number): void {
    while (this.written > 0 && this.entries[0]!.seq <= seq) this.remove(0).settle()
  }

  /** The send of that seq will not happen. */
  refuse(seq: number, error: unknown): void {
    const at = this.entries.findIndex((entry) => entry.seq === seq)
    if (at >= 0) this.remove(at).settle(error)
  }

  /** The send is not wanted any more. */
  withdraw(entry: Entry, reason: unknown): void {
    if (!entry.gone) this.refuse(entry.seq, reason)
  }

  /** A new connection has none of it. */
  rewind(): void {
    this.written = 0
    for (const entry of [...this.entries]) {
      if (!entry.seal) continue
      entry.frame = undefined
      entry.seal()
    }
  }

  /** Nothing of it will be sent any more. */
  close(error: Error): void {
    while (this.entries.length > 0) this.remove(0).settle(error)
  }

  private remove(at: number): Entry {
    const [entry] = this.entries.splice(at, 1) as [Entry]
    if (at < this.written) this.written--
    this.bytes -= entry.size
    return entry
  }
}
