import type { ClientMessage, Hello, Welcome } from './message.ts'
import type { Ticket } from './ticket.ts'

const ackEvery = 32 // messages; docs/gateway.md asks for 64 at most
const ackBytes = 16 * 1024 // and for 64 KiB at most
const ackWithin = 100 // milliseconds; docs/gateway.md asks for a second at most

/** A session as it outlives its connections: the token to resume it, and which of its messages we have. */
export class Session {
  private token: string | undefined
  private received: number // the highest seq of a message that was taken
  private opening = new Set<number>() // the seqs of those that are being decrypted, ascending
  private acknowledged: number
  private greeted = 0 // what the last hello has acknowledged
  private messages = 0 // that were delivered and not acknowledged
  private bytes = 0
  private timer: ReturnType<typeof setTimeout> | undefined

  constructor(
    ticket: Ticket | undefined,
    private readonly say: (message: ClientMessage) => void,
  ) {
    this.token = ticket?.resume
    this.received = this.acknowledged = ticket?.ack ?? 0
  }

  // The highest seq up to which the application was given everything.
  private get delivered(): number {
    const [lowest] = this.opening
    return lowest === undefined ? this.received : lowest - 1
  }

  /** What the next page needs to go on. */
  get ticket(): Pick<Ticket, 'resume' | 'ack'> | undefined {
    return this.token === undefined ? undefined : { resume: this.token, ack: this.delivered }
  }

  hello(token: string | undefined, password: string | undefined, history: number | undefined): Hello {
    this.greeted = this.delivered
    return { op: 'hello', token, password, history, ...(this.token !== undefined && { resume: this.token, ack: this.delivered }) }
  }

  /** The server has welcomed us. Returns why the session that we had is lost, if it is. */
  welcomed({ resume, resumed, reason = 'unknown' }: Welcome): string | undefined {
    const lost = this.token !== undefined && !resumed ? reason : undefined
    this.token = resume
    // A server that does not know the session may have lost its numbers too. Otherwise they go on,
    // and tell which of the history we have.
    if (lost === 'unknown') {
      this.received = 0
      this.opening = new Set()
      this.greeted = 0
    }
    this.acknowledged = this.greeted
    if (this.delivered > this.acknowledged) this.later() // of the connection before
    return lost
  }

  /** Delivers a message if it is new. It is acknowledged when the application was given it, and all before it. */
  take(seq: number, size: number, deliver: () => Promise<void> | undefined): void {
    if (seq <= this.received) return
    this.received = seq
    const delivery = deliver()
    if (!delivery) return this.count(size)
    const { opening } = this
    opening.add(seq)
    void delivery.then(() => {
      opening.delete(seq)
      this.count(size)
    })
  }

  /** Stops the clock. */
  close(): void {
    clearTimeout(this.timer)
  }

  private count(size: number): void {
    this.bytes += size
    if (++this.messages >= ackEvery || this.bytes >= ackBytes) this.acknowledge()
    else this.later()
  }

  private later(): void {
    this.timer ??= setTimeout(() => this.acknowledge(), ackWithin)
  }

  private acknowledge(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    this.messages = this.bytes = 0
    if (this.delivered <= this.acknowledged) return
    this.acknowledged = this.delivered
    this.say({ op: 'ack', seq: this.acknowledged }) // lost without a connection: the next hello says it too
  }
}
