import { onAbort } from './abort.ts'
import type { Send } from './channel.ts'
import type { RoomError, Undelivered } from './client.ts'
import type { Codec } from './codec.ts'
import type { Connection } from './connection.ts'
import { overhead, type Secret } from './encryption.ts'
import { Failure, unreadable } from './error.ts'
import type { ErrorMessage, Limits, ProgressMessage, ResultMessage, TransferReport, Welcome } from './message.ts'
import { Outbox, type Entry } from './outbox.ts'
import { bytesOf, jsonText, payloadOf, sizeOf } from './payload.ts'
import { Reach } from './reach.ts'
import { restore, save } from './saved.ts'
import { SentLog } from './sent.ts'
import type { Ticket } from './ticket.ts'
import type { Sender } from './transfer/sender.ts'

/** What sends need of their room. */
export interface Sending {
  readonly id: string
  readonly meshId: string
  readonly codec: Codec
  readonly limits: Limits
  /** Bytes that a message on the wire may have. */
  readonly longest: number
  /** The connection, once it was welcomed. */
  readonly link?: Connection | undefined
  /** Why nothing can be sent any more. */
  readonly stopped?: Failure
  secretOf(channel: string): Secret | undefined
}

/** What we send on channels, each as a message or as a transfer, until the server has it. */
export class Sends {
  private readonly outbox = new Outbox()
  private readonly sent = new SentLog()
  private lastSeq = 0

  constructor(
    private readonly room: Sending,
    private readonly sender: Sender,
  ) {}

  readonly send: Send = async (channel, value, { to, meta, progress: onProgress, signal }) => {
    const { room } = this
    if (room.stopped) throw room.stopped
    signal?.throwIfAborted()
    const targets = to == null ? undefined : [to].flat()
    if (targets?.some((peer) => typeof peer !== 'string')) throw new Failure('bad_message', 'send: a target is no peer id')
    const metaText = meta == null ? '' : jsonText('meta', meta)
    const beside = { to: targets, meta: metaText ? JSON.parse(metaText) : undefined }

    const reach = new Reach(channel, meta, onProgress)
    const { kind, data, raw } = payloadOf(value)
    const secret = room.secretOf(channel)
    const size = sizeOf(raw) + sizeOf(metaText) + (secret ? overhead : 0)
    const whole = size <= room.limits.message
    if (secret && !whole) throw new Failure('too_large', `send: ${size} bytes encrypted, at most ${room.limits.message}`)
    const seq = ++this.lastSeq
    const encode = (data: unknown) =>
      room.codec.encode({ op: 'send', seq, channel, data, ...beside, ...(secret && { meta: undefined }), progress: onProgress && true })
    const frame = whole && !secret && !(raw instanceof Blob) ? encode(data) : undefined
    // JSON may be many times as long as what it says.
    if (!whole || (frame && sizeOf(frame) > room.longest)) {
      const blob = raw instanceof Blob ? raw : new Blob([raw as BlobPart])
      return this.sender.send({ kind, blob, ...beside, reach }, signal)
    }
    const blob = raw instanceof Blob || secret ? new Blob([raw as BlobPart]) : undefined // as it is now
    return new Promise((resolve, reject) => {
      const settle = onAbort(signal, (reason) => this.outbox.withdraw(entry, reason), resolve, reject)
      const fill = async (): Promise<void> => {
        const { link } = room
        try {
          const bytes = secret ? await secret.seal([room.id, room.meshId], kind, blob!, beside.meta) : bytesOf(await blob!.arrayBuffer())
          if (secret && link !== room.link) return // it is sealed anew for the next one
          this.outbox.fill(entry, encode(bytes))
        } catch (error) {
          this.outbox.refuse(seq, unreadable(error))
        }
        this.flush()
      }
      const entry: Entry = { seq, size: sizeOf(frame ?? raw), frame, settle, ...(secret && { seal: fill }) }
      this.outbox.add(entry)
      this.sent.add(seq, reach)
      if (blob) void fill()
      this.flush()
    })
  }

  /** There is a new connection: what the server does not have is sent again. */
  proceed({ resumed, ack }: Welcome): void {
    if (resumed) this.outbox.acknowledge(ack)
    this.lastSeq = Math.max(this.lastSeq, ack)
    this.outbox.rewind()
    this.flush()
    this.sender.proceed(this.room.limits.window, resumed)
  }

  acknowledged(message: { seq: number; transfer?: undefined } | Extract<TransferReport, { op: 'ack' }>): void {
    if (message.transfer === undefined) this.outbox.acknowledge(message.seq)
    else this.sender.received(message)
  }

  /** A send was refused. Reports whether the message is about one. */
  refused({ seq, transfer, from }: ErrorMessage, error: Failure): boolean {
    if (seq !== undefined) this.outbox.refuse(seq, error)
    else if (transfer !== undefined && from === undefined) this.sender.fault(transfer, error)
    else return false
    return true
  }

  /** A recipient was not reached. Undefined if that was told before. */
  missed({ seq, transfer, peer, error, message }: ResultMessage): Undelivered | undefined {
    const reach = transfer === undefined ? this.sent.get(seq!) : this.sender.reach(transfer)
    if (reach ? !reach.missed(peer) : transfer !== undefined) return undefined
    return { peer, error, message, ...(reach && { channel: reach.channel, meta: reach.meta }) }
  }

  progress({ seq, transfer, peer, fraction }: ProgressMessage): void {
    const reach = transfer !== undefined ? this.sender.reach(transfer) : this.sent.get(seq!)
    reach?.progress(peer, fraction)
  }

  /** What the next page needs beside the session itself. */
  unfinished(): Omit<Ticket, 'resume' | 'ack'> {
    const { id, meshId: mesh, codec } = this.room
    return { id, mesh, transfer: this.sender.lastTransfer, ended: this.sender.current, ...save(this.outbox, codec) }
  }

  /** The sends of an earlier page. */
  restore(ticket: Ticket, settle: Entry['settle']): void {
    for (const { seq, channel, meta } of restore(ticket, this.outbox, this.room.codec, this.room, settle)) {
      this.lastSeq = seq
      this.sent.add(seq, new Reach(channel, meta, undefined))
    }
  }

  /** Nothing will be sent any more. */
  close(error: RoomError): void {
    this.outbox.close(error)
    this.sender.close(error)
  }

  private flush(): void {
    const { link } = this.room
    if (link) this.outbox.flush((frame) => link.write(frame), this.room.longest)
  }
}
