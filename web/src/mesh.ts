import type { RoomChannel } from './channel.ts'
import type { Channel, ChannelEvents, Mesh, MeshPeer, MeshState, RoomError, RoomEvents } from './client.ts'
import type { Emitter } from './emitter.ts'
import { Failure } from './error.ts'
import type { MeshMessage } from './message.ts'
import type { Sending } from './sends.ts'

interface Asking {
  found: Map<string, MeshPeer>
  resolve: (found: Map<string, MeshPeer>) => void
  reject: (error: RoomError) => void
}

/** The room's cells: our place, that of others, and what is said to the mesh itself. */
export class RoomMesh implements Mesh {
  /** What was told last on this connection, or the one before. */
  state: MeshState | null = null
  readonly send: Channel['send']
  private readonly asked = new Map<number, Asking>()

  constructor(
    private readonly room: Sending & { ping(peer: string): Promise<number> },
    private readonly channel: RoomChannel,
    private readonly nextId: () => number,
    private readonly events: Emitter<RoomEvents>,
  ) {
    this.send = channel.send.bind(channel)
  }

  on<E extends keyof ChannelEvents>(event: E, listener: (...args: ChannelEvents[E]) => void): () => void {
    this.channel.on(event, listener)
    return () => this.channel.off(event, listener)
  }

  ping(peer: string): Promise<number> {
    return this.room.ping(peer)
  }

  getState(): MeshState | null {
    return this.state
  }

  getCellSize(): number | null {
    return this.state?.cellSize ?? null
  }

  getPeerInfo(): Promise<Map<string, MeshPeer>> {
    return new Promise((resolve, reject) => {
      const { link, stopped } = this.room
      if (!link) throw stopped ?? new Failure('disconnected', 'mesh: there is no connection now')
      const id = this.nextId()
      this.asked.set(id, { found: new Map(), resolve, reject })
      link.say({ op: 'mesh', id })
    })
  }

  async getStableRoster(): Promise<string[]> {
    return [...(await this.getPeerInfo()).keys()]
  }

  received(message: MeshMessage): void {
    if ('roster' in message) this.listed(message)
    else this.placed(message)
  }

  /** The server has refused a request. Reports whether it was one of ours. */
  refused(id: number, error: RoomError): boolean {
    const asking = this.asked.get(id)
    this.asked.delete(id)
    asking?.reject(error)
    return asking !== undefined
  }

  /** There is a new connection: what is not answered is asked again. */
  proceed(): void {
    for (const [id, { found }] of this.asked) {
      found.clear()
      this.room.link!.say({ op: 'mesh', id })
    }
  }

  /** No answer can come any more. */
  close(): void {
    for (const id of [...this.asked.keys()]) this.refused(id, new Failure('disconnected', 'mesh: the connection was lost'))
  }

  private listed({ id, roster, more }: Extract<MeshMessage, { id: number }>): void {
    const asking = this.asked.get(id)
    if (!asking) return
    for (const { peer, cellId, ...role } of roster) asking.found.set(peer, { cell: cellId, ...role })
    if (more) return
    this.asked.delete(id)
    asking.resolve(asking.found)
  }

  private placed({ op, ...place }: Exclude<MeshMessage, { id: number }>): void {
    this.state = place.epoch ? (place as MeshState) : null
    this.events.emit('mesh:state', this.state)
    if (!this.state || !this.events.has('mesh:peer-state')) return
    const timestamp = Date.now()
    const tell = (peers: Map<string, MeshPeer>) => {
      peers.delete(place.peer)
      for (const [id, peer] of peers) this.events.emit('mesh:peer-state', { id, ...peer, timestamp })
    }
    this.getPeerInfo().then(tell, () => {}) // the next connection tells of a place too
  }
}
