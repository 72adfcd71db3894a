import { backoff, pause } from './backoff.ts'
import { meshChannel, RoomChannel } from './channel.ts'
import type { ChannelOptions, JoinOptions, Peer, Room, RoomEvents, RoomState } from './client.ts'
import { codecs, type Codec } from './codec.ts'
import { Connection, verdict, type Ending, type Listener } from './connection.ts'
import { Emitter } from './emitter.ts'
import { Secret } from './encryption.ts'
import { ended, Failure } from './error.ts'
import { RoomGraph } from './graph.ts'
import type { ClientMessage, Limits, ServerMessage, Welcome } from './message.ts'
import { RoomMesh } from './mesh.ts'
import { Pings } from './pings.ts'
import { refusal } from './refusal.ts'
import { Sends, type Sending } from './sends.ts'
import { Session } from './session.ts'
import { TicketStore, watchPage } from './ticket.ts'
import { authorizationOf, tokenOf } from './token.ts'
import { Receiver } from './transfer/receiver.ts'
import { Sender } from './transfer/sender.ts'
import type { Transport } from './transport.ts'
import { Transports } from './transports.ts'
import { onWake } from './wake.ts'

const patience = 10_000
const stable = 5_000 // a connection that lasted so long was no failure
const farewell = 2_000

/** A room: one connection after the other, and what outlives them. */
export class JoinedRoom implements Room, Sending {
  id = ''
  meshId = ''
  identity: 'session' | 'server' = 'session'
  state: RoomState = { status: 'connecting' }

  private readonly events = new Emitter<RoomEvents>()
  readonly on = this.events.on.bind(this.events) as Room['on']
  readonly off = this.events.off.bind(this.events) as Room['off']

  readonly codec: Codec
  private readonly channels = new Map<string, RoomChannel>()
  private readonly peers = new Map<string, Peer>()
  private readonly session: Session
  private readonly sender: Sender
  private readonly sends: Sends
  private readonly receiver = new Receiver(
    (message) => this.say(message),
    (name) => this.channels.get(name),
  )
  private lastId = 0
  private readonly nextId = () => ++this.lastId
  private readonly pings = new Pings(this.nextId)
  readonly graph = new RoomGraph(this, this.nextId)
  readonly mesh: RoomMesh

  private readonly transports: Transports
  private current?: Connection // the connection that is dialled or open
  private over!: (ending: Ending) => void // of it
  private token: string | undefined // that was asked for last
  link?: Connection | undefined // the same, once it was welcomed
  limits!: Limits // since the first welcome
  longest = 0

  private held?: (() => void)[] | undefined = [] // what is told when the application had a chance to listen
  stopped?: Failure // why there will be no further connection
  private readonly stopping = new AbortController()
  private readonly closed: Promise<void>
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
    this.transports = new Transports(options, address, this.codec)
    const tickets = new TicketStore(`genosrtc ${address}`)
    const ticket = options.persist ? tickets.take() : undefined
    this.session = new Session(ticket, (message) => this.say(message))
    this.sender = new Sender(ticket?.transfer ?? 0, ticket?.ended ?? [], (message) => this.say(message))
    this.sends = new Sends(this, this.sender)
    this.mesh = new RoomMesh(this, this.channel(meshChannel), this.nextId, this.events)
    if (ticket) {
      this.id = ticket.id
      this.meshId = ticket.mesh
      // What has come of them can be told to nobody but the room.
      this.sends.restore(ticket, (error) => error && this.tell(() => this.events.emit('error', error as Failure)))
    }
    const keep = () => {
      const { ticket } = this.session
      if (options.persist && ticket) tickets.put({ ...ticket, ...this.sends.unfinished() })
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
    this.closed = this.run().then(() => {
      unwatch()
      sleep()
      failed(this.stopped!) // without effect if we had joined
    })
  }

  get selfId(): string {
    return this.id
  }

  channel(name: string, { passphrase }: ChannelOptions = {}): RoomChannel {
    const channel = this.channels.get(name) ?? new RoomChannel(name, this.sends.send)
    if (passphrase !== undefined && passphrase !== channel.secret?.passphrase) channel.secret = new Secret(this.name, name, passphrase)
    this.channels.set(name, channel)
    return channel
  }

  secretOf(channel: string): Secret | undefined {
    return this.channels.get(channel)?.secret
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
      return this.closed
    }
    this.stopped = left
    link.say({ op: 'leave' })
    const timer = setTimeout(() => this.current?.cut('left'), farewell)
    return this.closed.then(() => clearTimeout(timer))
  }

  // Dials again and again, until there is a reason to stop.
  private async run(): Promise<void> {
    let ending: Ending = { code: 1006, reason: '', opened: false }
    for (let failures = 0; !this.stopped; failures++) {
      const began = performance.now()
      try {
        ending = await this.converse()
        if (this.transports.ended(ending.opened)) continue
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
          const why = ending.refusal ?? (await refusal(this.address, this.stopping.signal))
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

  // One connection, or several that the session moves to, from dialling to its end.
  private async converse(): Promise<Ending> {
    let authorization: string | undefined
    try {
      authorization = await this.authorize()
    } catch (error) {
      return { code: 1006, reason: `no token: ${(error as Error).message}`, opened: true }
    }
    if (this.stopped) return { code: 1006, reason: '', opened: true }
    return new Promise((resolve) => {
      this.over = resolve
      this.greet(this.transports.dial(authorization))
    })
  }

  private readonly authorize = async () => {
    const { token, password } = this.options
    this.token = await tokenOf(token, this.stopping.signal)
    return authorizationOf(this.token, password)
  }

  // The connection before it, if one has the session, serves until the server has welcomed this one.
  private greet(transport: Transport, before?: Connection): void {
    const hello = this.session.hello(this.token, this.options.password, this.options.history)
    const listener: Listener = {
      welcomed: (welcome) => this.welcomed(connection, welcome),
      received: (message, size) => this.tell(() => this.handle(message, size)),
      ended: (ending) => {
        if (this.current !== connection) return
        if (this.stopped || !before || this.link === connection) return this.over(ending)
        // The session was to move here. Where it was it cannot stay, since the server may have moved it already.
        this.transports.refused()
        this.over({ code: 1006, reason: ending.reason, opened: true }) // it says nothing about the next one
      },
    }
    const connection = (this.current = new Connection(transport, hello, this.codec, listener, before))
  }

  // A better transport has opened.
  private readonly move = (transport: Transport) => {
    if (!this.link || this.link !== this.current || this.stopped) return transport.close()
    this.greet(transport, this.link)
  }

  private welcomed(connection: Connection, welcome: Welcome): void {
    if (this.stopped) return connection.say({ op: 'leave' })
    const lost = this.session.welcomed(welcome)
    const { status } = this.state
    const { kind } = connection.transport
    this.link = connection
    this.limits = welcome.limits
    // The server's read limit (docs/gateway.md, 1009). What was begun over a WebSocket may be as long over WebRTC.
    this.longest = Math.max(2 * this.limits.message, kind === 'webrtc' ? this.longest : 0)
    this.sender.suspend() // if the session has moved
    this.receiver.suspend()
    clearTimeout(this.deadline)
    if (lost !== undefined) {
      this.tell(() => this.events.emit('session:lost', lost))
      this.part(() => true)
      this.receiver.close(ended('gone'))
    }
    this.id = welcome.peer
    this.meshId = welcome.mesh ?? welcome.peer
    this.mesh.state = null // it is told anew
    this.identity = welcome.identity
    const present = new Set(welcome.peers.map(({ peer }) => peer))
    this.part((peer) => !present.has(peer))
    this.enter({ status: 'open', transport: kind })
    if (status === 'connecting') {
      this.joined(this)
      setTimeout(() => this.release())
    } else if (status !== 'open' || lost !== undefined) {
      this.events.emit('open', this.id)
    }
    for (const { peer, type } of welcome.peers) {
      if (this.peers.has(peer)) continue
      this.meet(peer, type)
      this.tell(() => this.events.emit('peer:join', peer, type))
    }
    this.sends.proceed(welcome)
    this.graph.proceed()
    this.mesh.proceed()
    this.transports.welcomed(connection.transport, this.authorize, this.move)
  }

  private handle(message: ServerMessage, size: number): void {
    switch (message.op) {
      case 'message':
        this.session.take(message.seq, size, () =>
          this.channels.get(message.channel)?.receive(message, (error) => this.events.emit('error', error)),
        )
        break
      case 'ack':
        this.sends.acknowledged(message)
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
        const missed = this.sends.missed(message)
        if (missed) this.events.emit('result', missed)
        break
      }
      case 'progress':
        if (message.seq !== undefined || message.transfer !== undefined) this.sends.progress(message)
        else this.channels.get(message.channel!)?.emit('progress', message.fraction, message.peer, message.meta)
        break
      case 'node':
      case 'watch':
        this.graph.received(message)
        break
      case 'mesh':
        this.mesh.received(message)
        break
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
        const { id } = message
        const known = id === undefined ? this.sends.refused(message, error) : this.graph.refused(id, error) || this.mesh.refused(id, error) || this.pings.finish(id, error.code)
        if (!known) this.events.emit('error', error)
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
    this.link?.cut(reason) // if the session was about to move
    this.release()
    this.link = undefined
    this.pings.close('disconnected')
    this.mesh.close()
    this.sender.suspend()
    this.receiver.suspend()
    if (error) {
      this.sends.close(error)
      this.graph.close(error)
      this.receiver.close(error)
      this.session.close()
    }
    this.enter(state)
    this.events.emit('close', { code, reason, final: !!error, ...(error && error.code !== 'left' && { error }) })
    if (error) this.part(() => true)
  }
}
