import { unreadable } from '../error.ts'
import type { Kind, TransferMessage } from '../message.ts'
import type { Reach } from '../reach.ts'
import { Source } from './source.ts'

const chunk = 64 * 1024

/** A payload, and where it is to go. */
export interface Order {
  kind: Kind
  blob: Blob
  to?: string[] | undefined
  meta?: unknown
  reach: Reach
}

/** A transfer of ours (docs/gateway.md, 'Transfers'): asked for, sent as far as the window goes, ended. */
export class Outgoing {
  private readonly source: Source
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
    const { reach, kind, to, meta } = this.order
    this.flowing = false
    this.window = window
    this.say({ op: 'begin', transfer: this.id, offset: this.acknowledged, channel: reach.channel, size: this.source.size, kind, to, meta })
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

  /** Whether the server has not answered our question yet. */
  get asking(): boolean {
    return !this.flowing
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
