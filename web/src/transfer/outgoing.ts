import type { OnProgress } from '../client.ts'
import { guarded } from '../emitter.ts'
import { unreadable } from '../error.ts'
import type { Kind, TransferMessage } from '../message.ts'
import { Source } from './source.ts'

const chunk = 64 * 1024

/** A payload, and where it is to go. */
export interface Order {
  channel: string
  kind: Kind
  blob: Blob
  to?: string[] | undefined
  meta?: unknown
  onProgress?: OnProgress | undefined
}

/** A transfer of ours (docs/gateway.md, 'Transfers'): asked for, sent as far as the window goes, ended. */
export class Outgoing {
  private readonly source: Source
  private readonly reached = new Map<string, number>() // peer -> the fraction that was told
  private readonly given = new Set<string>() // peers that were given up
  private flowing = false // between the server's begin and the loss of the connection
  private reading = false
  private ended = false // all chunks and the end were sent
  private acknowledged = 0
  private next = 0
  private window = 0

  constructor(
    readonly id: number,
    readonly order: Order,
    private readonly say: (message: TransferMessage) => void,
    private readonly failed: (error: Error) => void,
  ) {
    this.source = new Source(order.blob)
  }

  /** Asks, on a new connection or for the first time. */
  begin(window: number): void {
    const { channel, kind, to, meta } = this.order
    this.flowing = false
    this.window = window
    this.say({ op: 'begin', transfer: this.id, offset: this.acknowledged, channel, size: this.source.size, kind, to, meta })
  }

  /** The connection is gone. */
  suspend(): void {
    this.flowing = false
  }

  /** The session is gone, and all that was acknowledged in it. */
  restart(): void {
    this.suspend()
    this.acknowledged = 0
  }

  /** The server wants everything from `offset` on. The window stays where it was. */
  proceed(offset: number): void {
    this.next = offset
    this.ended = false
    this.flowing = true
    void this.pump()
  }

  acknowledge(offset: number): void {
    this.acknowledged = Math.max(this.acknowledged, offset)
    void this.pump()
  }

  /** Tells how far it is with a recipient. What was told does not fall, though a transfer may go back. */
  progress(peer: string, fraction: number): void {
    if (fraction <= (this.reached.get(peer) ?? 0)) return
    this.reached.set(peer, fraction)
    if (this.order.onProgress) guarded(this.order.onProgress, fraction, peer, this.order.meta)
  }

  /** A recipient was given up. Returns whether that is news: after resuming it may come again. */
  missed(peer: string): boolean {
    const news = !this.given.has(peer)
    this.given.add(peer)
    this.reached.delete(peer)
    return news
  }

  /** Everybody else has it; the report of that may have been lost with a connection. */
  complete(): void {
    for (const peer of this.reached.keys()) this.progress(peer, 1)
  }

  // Sends what may be sent. Whatever happens while a piece is read, only what continues is sent.
  private async pump(): Promise<void> {
    if (this.reading) return
    this.reading = true
    try {
      while (this.flowing && !this.ended) {
        const { next, source } = this
        if (next === source.size) {
          const hash = await source.sha256()
          if (!this.flowing || this.next !== next) continue
          this.say({ op: 'end', transfer: this.id, hash })
          this.ended = true
          break
        }
        const most = Math.min(chunk, this.window, source.size - next)
        if (next + most > this.acknowledged + this.window) break
        const data = await source.read(next, most)
        if (!this.flowing || this.next !== next) continue
        this.say({ op: 'chunk', transfer: this.id, offset: next, data })
        this.next += data.length
      }
    } catch (error) {
      this.failed(unreadable(error))
    } finally {
      this.reading = false
    }
  }
}
