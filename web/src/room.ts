import { backoff, pause } from './backoff.ts'
import { RoomChannel, type Send } from './channel.ts'
import type { Channel, JoinOptions, Peer, Room, RoomEvents } from './client.ts'
import { codecs, type Codec } from './codec.ts'
import { bytesOf, dataOf, jsonValue } from './data.ts'
import { Emitter, guarded } from './emitter.ts'
import { Failure } from './error.ts'
import type { Data, ServerMessage, Welcome } from './message.ts'
import { frameSize, Outbox } from './outbox.ts'
import { Pings } from './pings.ts'
import { refusal } from './refusal.ts'
import { SentLog } from './sent.ts'
import { Session, verdict, type Ending } from './session.ts'

const patience = 10_000
const stable = 30_000 // a session that lasted so long was no failure
const farewell = 2_000

/** A room: one session after the other, and what outlives them. */
export class JoinedRoom implements Room {
  id = ''
  identity: 'session' | 'server' = 'session'

  private readonly events = new Emitter<RoomEvents>()
  readonly on = this.events.on.bind(this.events) as Room['on']
  readonly off = this.events.off.bind(this.events) as Room['off']

  private readonly codec: Codec
  private readonly channels = new Map<string, RoomChannel>()
  private readonly peers = new Map<string, Peer>()
  private readonly outbox = new Outbox()
  private readonly sent = new SentLog()
  private readonly pings = new Pings()
  private lastSeq = 0

  private current?: Session // the session that is dialled or open
  private session?: Session | undefined // the same, once it was welcomed
  private frameLimit = 0

  private held?: ServerMessage[] | undefined = [] // until the application had a chance to listen
  private stopped?: Failure // why there will be no further session
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
    const timeout = options.timeout ?? patience
    this.deadline = setTimeout(() => {
      this.stop(new Failure('timeout', `room ${name} at ${address}: not joined within ${timeout / 1000} s: ${this.trouble}`))
    }, timeout)
    this.over = this.run().then(() => failed(this.stopped!)) // without effect if we had joined
  }

  get selfId(): string {
    return this.id
  }

  channel(name: string): Channel {
    let channel = this.channels.get(name)
    if (!channel) this.channels.set(name, (channel = new RoomChannel(name, this.send)))
    return channel
  }

  getPeers(): Record<string, Peer> {
    return Object.fromEntries([...this.peers].map(([id, peer]) => [id, { ...peer }]))
  }

  ping(peer?: string): Promise<number> {
    return this.pings.start((id) => {
      if (!this.session) throw this.stopped ?? new Failure('disconnected', 'ping: there is no connection now')
      this.session.write(this.codec.encode({ op: 'ping', id, peer }))
    })
  }

  leave(): Promise<void> {
    const { session } = this
    const left = new Failure('left', 'the room was left')
    if (!session || this.stopped) {
      this.stop(left)
      return this.over
    }
    this.stopped = left
    session.write(this.codec.encode({ op: 'leave' }))
    const timer = setTimeout(() => session.cut('left'), farewell)
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
          this.trouble = ending.complaint?.message ?? ending.reason
        } else {
          const why = await refusal(this.address, this.stopping.signal)
          this.refused(why.error)
          this.trouble = why.text
          wait = why.wait
        }
      }
      if (this.stopped) break
      if (this.session) this.down(ending, false)
      if (performance.now() - began > stable) failures = 0
      await pause(Math.max(wait, backoff(failures)), this.stopping.signal)
    }
    clearTimeout(this.deadline)
    this.down(ending, true)
  }

  // One session, from dialling to its end.
  private converse(): Promise<Ending> {
    return new Promise((resolve) => {
      const session = new Session(this.address, this.options.password, this.codec, {
        welcomed: (welcome) => this.welcomed(session, welcome),
        received: (message) => this.received(message),
        ended: resolve,
      })
      this.current = session
    })
  }

  private welcomed(session: Session, welcome: Welcome): void {
    this.session = session
    this.id = welcome.peer
    this.identity = welcome.identity
    this.frameLimit = 2 * welcome.limits.message // the server's read limit (docs/gateway.md, 1009)
    if (this.held) {
      clearTimeout(this.deadline)
      this.joined(this)
      setTimeout(() => this.release())
    } else {
      this.events.emit('open', this.id)
    }
    for (const { peer, type } of welcome.peers) {
      this.enter(peer, type)
      this.received({ op: 'peer', event: 'join', peer, ...(type && { type }) })
    }
    this.outbox.rewind()
    this.flush()
  }

  private received(message: ServerMessage): void {
    if (this.held) {
      this.held.push(message)
      return
    }
    switch (message.op) {
      case 'message':
        this.channels.get(message.channel)?.emit('message', message.data, message.from, message.meta)
        break
      case 'ack':
        this.outbox.acknowledge(message.seq)
        break
      case 'result': {
        const { seq, peer, error, message: text } = message
        const sent = this.sent.get(seq)
        this.events.emit('result', { peer, error, message: text, ...(sent && { channel: sent.channel, meta: sent.meta }) })
        break
      }
      case 'progress':
        if (message.seq !== undefined) {
          const sent = this.sent.get(message.seq)
          if (sent?.onProgress) guarded(sent.onProgress, message.fraction, message.peer, sent.meta)
        } else if (message.channel !== undefined) {
          this.channels.get(message.channel)?.emit('progress', message.fraction, message.peer, message.meta)
        }
        break
      case 'ping':
        this.session?.write(this.codec.encode({ op: 'pong', id: message.id }))
        break
      case 'pong':
        this.pings.finish(message.id, message.error)
        break
      case 'peer':
        if (message.event === 'join') this.enter(message.peer, message.type)
        if (message.event === 'leave') this.peers.delete(message.peer)
        this.events.emit(`peer:${message.event}`, message.peer, message.type)
        break
      case 'error': {
        const error = new Failure(message.code, message.message)
        if (message.seq !== undefined) this.outbox.refuse(message.seq, error)
        else if (message.id !== undefined) this.pings.finish(message.id, message.code)
        else this.events.emit('error', error)
      }
    }
  }

  private release(): void {
    const messages = this.held ?? []
    this.held = undefined
    for (const message of messages) this.received(message)
  }

  private enter(peer: string, type?: string): void {
    this.peers.set(peer, type === undefined ? {} : { type })
  }

  private readonly send: Send = (channel, data, targets, meta, onProgress) =>
    new Promise((resolve, reject) => {
      if (this.stopped) throw this.stopped
      const to = targets == null ? undefined : [targets].flat()
      if (to?.some((peer) => typeof peer !== 'string')) throw new Failure('bad_message', 'send: a target is no peer id')
      const said = meta == null ? undefined : jsonValue('meta', meta)

      const seq = ++this.lastSeq
      const encode = (data: Data) =>
        this.codec.encode({
          op: 'send',
          seq,
          channel,
          data,
          ...(to && { to }),
          ...(said !== undefined && { meta: said }),
          ...(onProgress && { progress: true }),
        })

      if (data instanceof Blob) {
        const entry = { seq, size: data.size, resolve, reject }
        this.outbox.add(entry)
        data
          .arrayBuffer()
          .then((buffer) => this.outbox.fill(entry, encode(bytesOf(buffer))))
          .catch((error) => this.outbox.refuse(seq, new Failure('bad_data', `data: the Blob cannot be read: ${error.message}`)))
          .then(() => this.flush())
      } else {
        const frame = encode(dataOf(data))
        this.outbox.add({ seq, size: frameSize(frame), frame, resolve, reject })
      }
      this.sent.add(seq, { channel, meta, onProgress })
      this.flush()
    })

  private flush(): void {
    const { session } = this
    if (session) this.outbox.flush((frame) => session.write(frame), this.frameLimit)
  }

  private refused(error: Failure | undefined): void {
    if (error && !this.stopped) this.stopped = error
  }

  // No further session, and an end to the one that is there.
  private stop(error: Failure): void {
    this.refused(error)
    this.current?.cut(error.message)
    this.stopping.abort()
  }

  // The session is gone, and everything that lives with it.
  private down({ code, reason }: Ending, final: boolean): void {
    this.release()
    this.session = undefined
    const peers = [...this.peers]
    this.peers.clear()
    this.pings.close('disconnected')
    if (final) this.outbox.close(this.stopped!)
    const refused = final && this.stopped!.code !== 'left'
    this.events.emit('close', { code, reason, final, ...(refused && { error: this.stopped! }) })
    for (const [id, { type }] of peers) this.events.emit('peer:leave', id, type)
  }
}
