import { onAbort } from './abort.ts'
import { backoff, pause } from './backoff.ts'
import { RoomChannel, type Send } from './channel.ts'
import type { Channel, ChannelOptions, JoinOptions, Peer, Room, RoomEvents, RoomState } from './client.ts'
import { codecs, type Codec } from './codec.ts'
import { Connection, verdict, type Ending } from './connection.ts'
import { Emitter } from './emitter.ts'
import { overhead, Secret } from './encryption.ts'
import { ended, Failure, unreadable } from './error.ts'
import type { ClientMessage, Limits, ServerMessage, Welcome } from './message.ts'
import { Outbox, type Entry } from './outbox.ts'
import { bytesOf, jsonText, payloadOf, sizeOf } from './payload.ts'
import { Pings } from './pings.ts'
import { Reach } from './reach.ts'
import { refusal } from './refusal.ts'
import { restore, save } from './saved.ts'
import { SentLog } from './sent.ts'
import { Session } from './session.ts'
import { TicketStore, watchPage, type Ticket } from './ticket.ts'
import { tokenOf } from './token.ts'
import { Receiver } from './transfer/receiver.ts'
import { Sender } from './transfer/sender.ts'
import { onWake } from './wake.ts'

const patience = 10_000
const stable = 5_000 // a connection that lasted so long was no failure
const farewell = 2_000

/** A room: one connection after the other, and what outlives them. */
export class JoinedRoom implements Room {
  id = ''
  mesh = ''
  identity: 'session' | 'server' = 'session'
  state: RoomState = { status: 'connecting' }

  private readonly events = new Emitter<RoomEvents>()
  readonly on = this.events.on.bind(this.events) as Room['on']
  readonly off = this.events.off.bind(this.events) as Room['off']

  private readonly codec: Codec
  private readonly channels = new Map<string, RoomChannel>()
  private readonly peers = new Map<string, Peer>()
  private readonly session: Session
  private readonly outbox = new Outbox()
  private readonly sent = new SentLog()
  private readonly sender: Sender
  private readonly receiver = new Receiver(
    (message) => this.say(message),
    (name) => this.channels.get(name),
  )
  private readonly pings = new Pings()
  private lastSeq = 0

  private current?: Connection // the connection that is dialled or open
  private link?: Connection | undefined // the same, once it was welcomed
  private limits!: Limits // since the first welcome

  private held?: (() => void)[] | undefined = [] // what is told when the application had a chance to listen
  private stopped?: Failure // why there will be no further connection
  private readonly stopping = new AbortController()
  private readonly over: Promise<void>
  private readonly deadline: ReturnType<typeof setTimeout> // of the first welcome
  private trouble = 'no answer'

  constructor(
    private readonly address: URL,
    readonly name: string,
    private readonly options: JoinOptions,
    private readonly joined: (room: Room) => void,
    failed: (error: Failure) => void,
  ) {
    const protocol = options.protocol ?? 'msgpack'
    if (!codecs[protocol]) throw new TypeError(`protocol ${protocol}: msgpack and json are known`)
    this.codec = codecs[protocol]
    const tickets = new TicketStore(`genosrtc ${address}`)
    const ticket = options.persist ? tickets.take() : undefined
    this.session = new Session(ticket, (message) => this.say(message))
    this.sender = new Sender(ticket?.transfer ?? 0, ticket?.ended ?? [], (message) => this.say(message))
    if (ticket) this.restore(ticket)
    const keep = () => {
      const { ticket } = this.session
      if (options.persist && ticket) tickets.put({ ...ticket, ...this.unfinished() })
    }
    const unwatch = watchPage(
      (mayReturn) => {
        if (!options.persist && !mayReturn) this.say({ op: 'leave' })
        keep()
      },
      () => tickets.take(),
    )
    const sleep = onWake(() => this.current?.probe())
    const timeout = options.timeout ?? patience
    this.deadline = setTimeout(() => {
      keep() // what was begun before goes on from the next try
      this.stop(new Failure('timeout', `room ${name} at ${address}: not joined within ${timeout / 1000} s: ${this.trouble}`))
    }, timeout)
    this.over = this.run().then(() => {
      unwatch()
      sleep()
      failed(this.stopped!) // without effect if we had joined
    })
  }

  get selfId(): string {
    return this.id
  }

  channel(name: string, { passphrase }: ChannelOptions = {}): Channel {
    const channel = this.channels.get(name) ?? new RoomChannel(name, this.send)
    if (passphrase !== undefined && passphrase !== channel.secret?.passphrase) channel.secret = new Secret(this.name, name, passphrase)
    this.channels.set(name, channel)
    return channel
  }

  getPeers(): Record<string, Peer> {
    return Object.fromEntries([...this.peers].map(([id, peer]) => [id, { ...peer }]))
  }

  ping(peer?: string): Promise<number> {
    return this.pings.start((id) => {
      if (!this.link) throw this.stopped ?? new Failure('disconnected', 'ping: there is no connection now')
      this.link.say({ op: 'ping', id, peer })
    })
  }

  leave(): Promise<void> {
    const { link } = this
    const left = new Failure('left', 'the room was left')
    if (!link || this.stopped) {
      this.stop(left)
      return this.over
    }
    this.stopped = left
    link.say({ op: 'leave' })
    const timer = setTimeout(() => link.cut('left'), farewell)
    return this.over.then(() => clearTimeout(timer))
  }

  // Dials again and again, until there is a reason to stop.
  private async run(): Promise<void> {
    let ending: Ending = { code: 1006, reason: '', opened: false }
    for (let failures = 0; !this.stopped; failures++) {
      const began = performance.now()
      try {
        ending = await this.converse()
      } catch (error) {
        this.refused(new Failure('refused', (error as Error).message)) // such as ws: from a page of https:
        break
      }
      let wait = 0
      if (!this.stopped) {
        if (ending.opened) {
          this.refused(verdict(ending))
          this.trouble = ending.complaint?.message || ending.reason || 'the connection was lost'
        } else {
          const why = await refusal(this.address, this.stopping.signal)
          this.refused(why.error)
          this.trouble = why.text
          wait = why.wait
        }
      }
      if (this.stopped) break
      if (performance.now() - began > stable) failures = 0
      wait = Math.max(wait, backoff(failures))
      const retry = { status: 'reconnecting', attempt: failures + 1, reason: this.trouble } as const
      const waiting = { ...retry, next: Date.now() + wait }
      if (this.link) this.down(ending, waiting)
      else this.again(waiting)
      if (!(await pause(wait, this.stopping.signal))) failures = -1 // what failed before says nothing now
      if (!this.stopped) this.again(retry)
    }
    clearTimeout(this.deadline)
    this.down(ending, { status: 'closed', error: this.stopped! })
  }

  // One connection, from dialling to its end.
  private async converse(): Promise<Ending> {
    let token: string | undefined
    try {
      token = await tokenOf(this.options.token, this.stopping.signal)
    } catch (error) {
      return { code: 1006, reason: `no token: ${(error as Error).message}`, opened: true }
    }
    if (this.stopped) return { code: 1006, reason: '', opened: true }
    return new Promise((resolve) => {
      const hello = this.session.hello(token, this.options.password, this.options.history)
      const connection = new Connection(this.address, hello, this.codec, {
        welcomed: (welcome) => this.welcomed(connection, welcome),
        received: (message, size) => this.tell(() => this.handle(message, size)),
        ended: resolve,
      })
      this.current = connection
    })
  }

  private welcomed(connection: Connection, welcome: Welcome): void {
    const lost = this.session.welcomed(welcome)
    const first = this.state.status === 'connecting'
    this.link = connection
    this.limits = welcome.limits
    clearTimeout(this.deadline)
    if (lost !== undefined) {
      this.tell(() => this.events.emit('session:lost', lost))
      this.part(() => true)
      this.receiver.close(ended('gone'))
    }
    this.id = welcome.peer
    this.mesh = welcome.mesh ?? welcome.peer
    this.identity = welcome.identity
    const present = new Set(welcome.peers.map(({ peer }) => peer))
    this.part((peer) => !present.has(peer))
    this.enter({ status: 'open' })
    if (first) {
      this.joined(this)
      setTimeout(() => this.release())
    } else {
      this.events.emit('open', this.id)
    }
    for (const { peer, type } of welcome.peers) {
      if (this.peers.has(peer)) continue
      this.meet(peer, type)
      this.tell(() => this.events.emit('peer:join', peer, type))
    }
    if (welcome.resumed) this.outbox.acknowledge(welcome.ack)
    this.lastSeq = Math.max(this.lastSeq, welcome.ack)
    this.outbox.rewind()
    this.flush()
    this.sender.proceed(this.limits.window, welcome.resumed)
  }

  private handle(message: ServerMessage, size: number): void {
    switch (message.op) {
      case 'message':
        this.session.take(message.seq, size, () =>
          this.channels.get(message.channel)?.receive(message, (error) => this.events.emit('error', error)),
        )
        break
      case 'ack':
        if (message.transfer === undefined) this.outbox.acknowledge(message.seq)
        else this.sender.received(message)
        break
      case 'begin':
      case 'chunk':
      case 'end':
      case 'cancel': {
        const { from } = message
        if (from === undefined) this.sender.received(message)
        else this.receiver.received({ ...message, from }, this.limits.window)
        break
      }
      case 'result': {
        const { seq, transfer, peer, error, message: text } = message
        const reach = transfer === undefined ? this.sent.get(seq!) : this.sender.reach(transfer)
        if (reach ? !reach.missed(peer) : transfer !== undefined) break // the server has said so before
        this.events.emit('result', { peer, error, message: text, ...(reach && { channel: reach.channel, meta: reach.meta }) })
        break
      }
      case 'progress': {
        const { seq, transfer, channel, peer, fraction, meta } = message
        if (transfer !== undefined) this.sender.reach(transfer)?.progress(peer, fraction)
        else if (seq !== undefined) this.sent.get(seq)?.progress(peer, fraction)
        else if (channel !== undefined) this.channels.get(channel)?.emit('progress', fraction, peer, meta)
        break
      }
      case 'ping':
        this.say({ op: 'pong', id: message.id })
        break
      case 'pong':
        this.pings.finish(message.id, message.error)
        break
      case 'peer':
        if (message.event === 'join') this.meet(message.peer, message.type)
        if (message.event === 'leave') {
          this.peers.delete(message.peer)
          this.receiver.left(message.peer)
        }
        this.events.emit(`peer:${message.event}`, message.peer, message.type)
        break
      case 'error': {
        const error = new Failure(message.code, message.message)
        if (message.seq !== undefined) this.outbox.refuse(message.seq, error)
        else if (message.transfer !== undefined && message.from === undefined) this.sender.fault(message.transfer, error)
        else if (message.id !== undefined) this.pings.finish(message.id, message.code)
        else this.events.emit('error', error)
      }
    }
  }

  private tell(call: () => void): void {
    if (this.held) this.held.push(call)
    else call()
  }

  private release(): void {
    const calls = this.held ?? []
    this.held = undefined
    for (const call of calls) call()
  }

  // Lost without a connection, which each part makes up for in the next one.
  private say(message: ClientMessage): void {
    this.link?.say(message)
  }

  private enter(state: RoomState): void {
    this.state = state
    this.events.emit('state', state)
  }

  private again(state: RoomState): void {
    if (this.state.status !== 'connecting') this.enter(state)
  }

  private meet(peer: string, type?: string): void {
    this.peers.set(peer, type === undefined ? {} : { type })
  }

  // These peers are here no longer.
  private part(gone: (peer: string) => boolean): void {
    for (const [id, { type }] of [...this.peers]) {
      if (!gone(id)) continue
      this.peers.delete(id)
      this.receiver.left(id)
      this.events.emit('peer:leave', id, type)
    }
  }

  private readonly send: Send = async (channel, value, { to, meta, progress: onProgress, signal }) => {
    if (this.stopped) throw this.stopped
    signal?.throwIfAborted()
    const targets = to == null ? undefined : [to].flat()
    if (targets?.some((peer) => typeof peer !== 'string')) throw new Failure('bad_message', 'send: a target is no peer id')
    const metaText = meta == null ? '' : jsonText('meta', meta)
    const beside = { to: targets, meta: metaText ? JSON.parse(metaText) : undefined }

    const reach = new Reach(channel, meta, onProgress)
    const { kind, data, raw } = payloadOf(value)
    const secret = this.channels.get(channel)?.secret
    const size = sizeOf(raw) + sizeOf(metaText) + (secret ? overhead : 0)
    const whole = size <= this.limits.message
    if (secret && !whole) throw new Failure('too_large', `send: ${size} bytes encrypted, at most ${this.limits.message}`)
    const seq = ++this.lastSeq
    const encode = (data: unknown) =>
      this.codec.encode({ op: 'send', seq, channel, data, ...beside, ...(secret && { meta: undefined }), progress: onProgress && true })
    const frame = whole && !secret && !(raw instanceof Blob) ? encode(data) : undefined
    // JSON may be many times as long as what it says.
    if (!whole || (frame && sizeOf(frame) > this.frameLimit)) {
      const blob = raw instanceof Blob ? raw : new Blob([raw as BlobPart])
      return this.sender.send({ kind, blob, ...beside, reach }, signal)
    }
    const blob = raw instanceof Blob || secret ? new Blob([raw as BlobPart]) : undefined // as it is now
    return new Promise((resolve, reject) => {
      const settle = onAbort(signal, (reason) => this.outbox.withdraw(entry, reason), resolve, reject)
      const fill = async (): Promise<void> => {
        const { link } = this
        try {
          const bytes = secret ? await secret.seal([this.id, this.mesh], kind, blob!, beside.meta) : bytesOf(await blob!.arrayBuffer())
          if (secret && link !== this.link) return // it is sealed anew for the next one
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

  // What the next page needs beside the session itself.
  private unfinished(): Omit<Ticket, 'resume' | 'ack'> {
    const { id, mesh, sender } = this
    return { id, mesh, transfer: sender.lastTransfer, ended: sender.current, ...save(this.outbox, this.codec) }
  }

  // The sends of an earlier page: what has come of them can be told to nobody but the room.
  private restore(ticket: Ticket): void {
    const settle = (error?: unknown) => error && this.tell(() => this.events.emit('error', error as Failure))
    this.id = ticket.id
    this.mesh = ticket.mesh
    for (const { seq, channel, meta } of restore(ticket, this.outbox, this.codec, this, settle)) {
      this.lastSeq = seq
      this.sent.add(seq, new Reach(channel, meta, undefined))
    }
  }

  private flush(): void {
    const { link } = this
    if (link) this.outbox.flush((frame) => link.write(frame), this.frameLimit)
  }

  // The server's read limit (docs/gateway.md, 1009).
  private get frameLimit(): number {
    return 2 * this.limits.message
  }

  private refused(error: Failure | undefined): void {
    if (error && !this.stopped) this.stopped = error
  }

  // No further connection, and an end to the one that is there.
  private stop(error: Failure): void {
    this.refused(error)
    this.current?.cut(error.message)
    this.stopping.abort()
  }

  // The connection is gone, and everything that lives with it; at last also what would outlive it.
  private down({ code, reason }: Ending, state: RoomState): void {
    const error = state.status === 'closed' ? state.error : undefined
    this.release()
    this.link = undefined
    this.pings.close('disconnected')
    this.sender.suspend()
    this.receiver.suspend()
    if (error) {
      this.outbox.close(error)
      this.sender.close(error)
      this.receiver.close(error)
      this.session.close()
    }
    this.enter(state)
    this.events.emit('close', { code, reason, final: !!error, ...(error && error.code !== 'left' && { error }) })
    if (error) this.part(() => true)
  }
}
