import type { Channel, ChannelEvents, OnProgress, SendOptions } from './client.ts'
import { Emitter } from './emitter.ts'
import type { Secret } from './encryption.ts'
import { Failure } from './error.ts'
import type { Arrival } from './message.ts'

/** What a channel needs of its room: to send one message. */
export type Send = (channel: string, data: unknown, options: SendOptions) => Promise<void>

/** The channel of what is said to the mesh itself. */
export const meshChannel = '@_mesh'

/** A channel is a name, a way out, and listeners. */
export class RoomChannel implements Channel {
  private readonly events = new Emitter<ChannelEvents>()
  readonly on = this.events.on.bind(this.events) as Channel['on']
  readonly off = this.events.off.bind(this.events) as Channel['off']
  readonly emit = this.events.emit.bind(this.events)
  /** What messages are encrypted by, if they are. */
  secret?: Secret
  private opened = Promise.resolve() // all that has come so far

  constructor(
    readonly name: string,
    private readonly sendOn: Send,
  ) {
    const bytes = new TextEncoder().encode(name).length
    if (bytes < 1 || bytes > 12) throw new Failure('channel_name', `channel ${name}: ${bytes} bytes, 1 to 12 are allowed`)
    if (name.startsWith('@_') && name !== meshChannel) throw new Failure('channel_name', `channel ${name}: names that begin with @_ are reserved`)
  }

  /** Whether anybody here wants what comes. */
  get receives(): boolean {
    return this.events.has('message') || this.events.has('transfer')
  }

  /**
   * Hands on a message, after those before it: at once, or, where it is to be decrypted, when the
   * promise resolves. `unreadable` is told of one that cannot be.
   */
  receive({ data, from, meta, history = false }: Arrival, unreadable: (error: Failure) => void): Promise<void> | undefined {
    const { secret } = this
    if (!secret) return void this.emit('message', data, from, meta, history)
    const opening = secret.open(from, data)
    const before = this.opened
    this.opened = opening.then(
      ({ data, meta }) => before.then(() => this.emit('message', data, from, meta, history)),
      (error) => before.then(() => unreadable(error)),
    )
    return this.opened
  }

  send(data: unknown, to?: string | string[] | SendOptions | null, meta?: unknown, progress?: OnProgress): Promise<void> {
    const named = to !== null && typeof to === 'object' && !Array.isArray(to)
    return this.sendOn(this.name, data, named ? to : { to, meta, progress })
  }
}
