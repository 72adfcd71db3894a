import type { RoomChannel } from '../channel.ts'
import { ended } from '../error.ts'
import type { Offer, TransferMessage, TransferReport } from '../message.ts'
import { valueOf } from '../payload.ts'
import { Incoming } from './incoming.ts'
import { Assembly } from './sink.ts'

const largest = 256 * 1024 * 1024 // bytes of all that is put together in memory at a time
const most = 64 // transfers at a time, as docs/gateway.md has it
const remembered = 1000 // answers to transfers that have ended

/** All transfers that come to us. They outlive connections, and end with the session. */
export class Receiver {
  private readonly underWay = new Map<string, Incoming>() // by who sends it and its number
  private readonly answers = new Map<string, TransferMessage>()
  private assembling = 0

  constructor(
    private readonly say: (message: TransferMessage) => void,
    private readonly channel: (name: string) => RoomChannel | undefined,
  ) {}

  received(message: Extract<TransferReport, { from?: string }> & { from: string }, window: number): void {
    const key = `${message.from} ${message.transfer}`
    const transfer = this.underWay.get(key)
    switch (message.op) {
      case 'begin':
        if (transfer) transfer.answer(message.offset ?? 0)
        else this.begin(key, message as Offer, window)
        break
      case 'chunk':
        transfer?.chunk(message.offset, message.data)
        break
      case 'end':
        transfer?.end(message.hash)
        break
      case 'cancel':
        transfer?.fail(ended(message.reason))
    }
  }

  /** The connection is gone. */
  suspend(): void {
    for (const transfer of this.underWay.values()) transfer.suspend()
  }

  /** The rest of what a peer was sending will not come. */
  left(peer: string): void {
    for (const transfer of [...this.underWay.values()]) {
      if (transfer.peer === peer) transfer.fail(ended('gone'))
    }
  }

  /** The session is gone. */
  close(error: Error): void {
    for (const transfer of [...this.underWay.values()]) transfer.fail(error)
    this.answers.clear()
  }

  private begin(key: string, offer: Offer, window: number): void {
    const { transfer: id, from, size, kind, meta } = offer
    const refuse = (reason: string) => this.say({ op: 'cancel', transfer: id, from, reason })
    const answer = this.answers.get(key)
    const channel = this.channel(offer.channel)
    if (answer) return this.say(answer)
    if ((offer.offset ?? 0) > 0) return refuse('unknown') // a page that was here before us had the rest
    if (!channel?.receives) return refuse('nobody listens')
    if (channel.secret) return refuse('the channel is encrypted')
    if (this.underWay.size >= most) return refuse('too_many')

    let inMemory = 0
    let deliver: (() => void) | undefined
    const transfer: Incoming = new Incoming(offer, window, {
      say: this.say,
      progress: (fraction) => channel.emit('progress', fraction, from, meta),
      over: (final) => {
        this.underWay.delete(key)
        this.assembling -= inMemory
        if (!final) return
        this.answers.set(key, final)
        if (this.answers.size > remembered) this.answers.delete(this.answers.keys().next().value!)
        if (final.op !== 'end') return
        channel.emit('progress', 1, from, meta)
        deliver?.()
      },
    })
    this.underWay.set(key, transfer)
    channel.emit('transfer', transfer)
    if (!transfer.settled) {
      if (this.assembling + size > largest) return transfer.cancel('too_large')
      this.assembling += inMemory = size
      transfer.into(
        (taken) =>
          new Assembly(size, taken, (bytes) => {
            const value = valueOf(kind, bytes)
            deliver = () => channel.emit('message', value, from, meta, false)
          }),
      )
    }
    transfer.answer(0)
  }
}
