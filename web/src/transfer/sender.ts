import { onAbort } from '../abort.ts'
import { ended, Failure } from '../error.ts'
import type { TransferMessage, TransferReport } from '../message.ts'
import type { Reach } from '../reach.ts'
import { Outgoing, type Order } from './outgoing.ts'

const most = 16 // transfers of one sender at a time (docs/gateway.md, 'too_many')
const waiting = 1000 // transfers that may wait for their turn

interface Sending {
  transfer: Outgoing
  settle(error?: unknown): void
}

/** All transfers of ours. Sixteen are under way at a time, the others wait. They outlive connections. */
export class Sender {
  private readonly sendings = new Map<number, Sending>() // those under way come first
  private cancelled: Outgoing[] = [] // on this connection, which may be lost with the word of it
  private window = 0 // 0 without a connection

  constructor(
    private last: number,
    private orphans: number[], // of a page before this one, which had their payloads
    private readonly say: (message: TransferMessage) => void,
  ) {}

  /** The highest number that was used. */
  get lastTransfer(): number {
    return this.last
  }

  /** The numbers of those that the server may think under way. */
  get current(): number[] {
    return [...this.orphans, ...this.underWay()]
  }

  /** Resolves when each recipient has it or was given up. Aborting `signal` cancels it for all. */
  send(order: Order, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.sendings.size >= most + waiting) throw new Failure('queue_full', `send: ${waiting} transfers wait already`)
      const id = ++this.last
      this.sendings.set(id, {
        transfer: new Outgoing(id, order, this.say, (error) => this.cancel(id, error)),
        settle: onAbort(signal, (reason) => this.cancel(id, reason), resolve, reject),
      })
      if (this.window > 0 && this.underWay().includes(id)) this.begin(id)
    })
  }

  received(message: TransferReport): void {
    const transfer = this.sendings.get(message.transfer)?.transfer
    if (!transfer) return
    switch (message.op) {
      case 'begin':
        transfer.proceed(message.offset ?? 0)
        break
      case 'ack':
        transfer.acknowledge(message.offset)
        break
      case 'end':
        transfer.order.reach.complete()
        this.finish(message.transfer)
        break
      case 'cancel':
        this.finish(message.transfer, ended(message.reason))
    }
  }

  /** Whom it has reached so far; nothing once it has ended. */
  reach(id: number): Reach | undefined {
    return this.sendings.get(id)?.transfer.order.reach
  }

  /** The server found fault with what we said of a transfer. It goes on, if it had begun. */
  fault(id: number, error: Failure): void {
    if (this.sendings.get(id)?.transfer.asking) this.cancel(id, error)
  }

  // It has ended, because of `error` where there is one.
  private finish(id: number, error?: unknown): void {
    const sending = this.sendings.get(id)
    if (!sending) return
    const began = this.underWay()
    this.sendings.delete(id)
    sending.transfer.suspend()
    sending.settle(error)
    if (this.window > 0) for (const next of this.underWay()) if (!began.includes(next)) this.begin(next)
  }

  /** The connection is gone. */
  suspend(): void {
    this.window = 0
    for (const { transfer } of this.sendings.values()) transfer.suspend()
  }

  /** There is a connection again, of the same session or of a new one, in which nothing has begun. */
  proceed(window: number, resumed: boolean): void {
    this.window = window
    if (resumed) for (const transfer of this.orphans) this.say({ op: 'cancel', transfer })
    this.orphans = []
    if (!resumed) for (const { transfer } of this.sendings.values()) transfer.restart()
    else
      for (const transfer of this.cancelled) {
        transfer.begin(window) // a server that was started again does not know it
        this.say({ op: 'cancel', transfer: transfer.id })
      }
    this.cancelled = []
    for (const id of this.underWay()) this.begin(id)
  }

  close(error: Error): void {
    this.window = 0
    for (const { settle, transfer } of this.sendings.values()) {
      transfer.suspend()
      settle(error)
    }
    this.sendings.clear()
  }

  private underWay(): number[] {
    return [...this.sendings.keys()].slice(0, most)
  }

  private begin(id: number): void {
    this.sendings.get(id)?.transfer.begin(this.window)
  }

  // Ends it for all, because of `error`.
  private cancel(id: number, error: unknown): void {
    const sending = this.sendings.get(id)
    if (!sending) return
    if (this.underWay().includes(id)) {
      this.say({ op: 'cancel', transfer: id })
      this.cancelled.push(sending.transfer)
      if (this.cancelled.length > most) this.cancelled.shift()
    }
    this.finish(id, error)
  }
}
