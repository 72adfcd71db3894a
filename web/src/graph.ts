import type { Graph, GraphChange, GraphNode, GraphWatch, RoomError, WatchOptions, WriteOptions } from './client.ts'
import type { Frame } from './codec.ts'
import { guarded } from './emitter.ts'
import { Failure } from './error.ts'
import type { GraphMessage, NodeMessage, WatchMessage } from './message.ts'
import { jsonText, sizeOf } from './payload.ts'
import type { Sending } from './sends.ts'

const most = 64 // requests under way; the server would read no more of us
const capacity = 16 * 1024 * 1024 // bytes of all that wait
const longest = 1000 // that wait

interface Request {
  frame: Frame
  written: boolean // on this connection
  resolve: (node: GraphNode) => void
  reject: (error: RoomError) => void
}

interface Watching {
  prefix: string | undefined
  after: number | undefined
  callback: (change: GraphChange) => void
  current: boolean // ready is resolved
  resolve: (seq: number) => void
  reject: (error: RoomError) => void
}

type Asked<M> = M extends { id: number } ? Omit<M, 'id'> : never

/** The room's graph: requests and watches, which outlive connections. */
export class RoomGraph implements Graph {
  private readonly requests = new Map<number, Request>() // in the order in which they were asked for
  private readonly watches = new Map<number, Watching>()
  private bytes = 0
  private underWay = 0

  constructor(
    private readonly room: Sending,
    private readonly nextId: () => number,
  ) {}

  async put(value: unknown, id: string = newId(), { expect }: WriteOptions = {}): Promise<GraphNode> {
    return this.ask({ op: 'put', node: id, data: plain(value), expect })
  }

  async patch(patch: unknown, id: string, { expect }: WriteOptions = {}): Promise<GraphNode> {
    return this.ask({ op: 'patch', node: id, data: plain(patch), expect })
  }

  async remove(id: string, { expect }: WriteOptions = {}): Promise<void> {
    await this.ask({ op: 'remove', node: id, expect })
  }

  link(source: string, target: string, { expect }: WriteOptions = {}): Promise<GraphNode> {
    return this.ask({ op: 'link', node: source, target, expect })
  }

  get(id: string): Promise<GraphNode | undefined> {
    return this.ask({ op: 'get', node: id }).catch((error: RoomError) => {
      if (error.code !== 'unknown_node') throw error
      return undefined
    })
  }

  watch({ prefix, after }: WatchOptions, callback: (change: GraphChange) => void): GraphWatch {
    const id = this.nextId()
    const ready = new Promise<number>((resolve, reject) => {
      if (this.room.stopped) throw this.room.stopped
      this.watches.set(id, { prefix, after, callback, current: false, resolve, reject })
      this.room.link?.say({ op: 'watch', id, prefix, after })
    })
    ready.catch(() => {}) // who does not ask is not told
    const unsubscribe = () => {
      const watch = this.watches.get(id)
      if (!watch) return
      this.watches.delete(id)
      this.room.link?.say({ op: 'unwatch', id })
      watch.reject(new Failure('unsubscribed', 'watch: unsubscribed before all had come')) // unless it is ready
    }
    return { ready, unsubscribe }
  }

  received(message: NodeMessage | WatchMessage): void {
    const watch = this.watches.get(message.id)
    if (message.op === 'node') {
      const node = nodeOf(message)
      this.take(message.id)?.resolve(node)
      if (!watch) return
      watch.after = message.seq
      guarded(watch.callback, { ...node, removed: message.removed === true })
    } else if (watch) {
      watch.after = message.seq ?? 0
      watch.current = true
      watch.resolve(watch.after)
    }
  }

  /** The server has refused a request or a watch. Reports whether somebody was told. */
  refused(id: number, error: RoomError): boolean {
    const waiting = this.take(id) ?? this.watches.get(id)
    waiting?.reject(error)
    const ready = this.watches.get(id)?.current // then nobody waits for it any more
    this.watches.delete(id)
    return waiting !== undefined && !ready
  }

  /** There is a new connection: all that is not answered is asked again. */
  proceed(): void {
    this.underWay = 0
    for (const request of this.requests.values()) request.written = false
    this.flush()
    for (const [id, { prefix, after }] of this.watches) this.room.link!.say({ op: 'watch', id, prefix, after })
  }

  close(error: RoomError): void {
    for (const id of [...this.requests.keys(), ...this.watches.keys()]) this.refused(id, error)
  }

  // Resolves with the node of the answer.
  private ask(message: Asked<GraphMessage>): Promise<GraphNode> {
    return new Promise((resolve, reject) => {
      const { room } = this
      if (room.stopped) throw room.stopped
      const id = this.nextId()
      const frame = room.codec.encode({ ...message, id } as GraphMessage)
      const size = sizeOf(frame)
      if (size > room.longest) throw new Failure('too_large', `${message.op}: ${size} bytes, the server takes at most ${room.longest}`)
      if (this.bytes + size > capacity || this.requests.size >= longest) {
        throw new Failure('queue_full', `${message.op}: ${this.requests.size} requests with ${this.bytes} bytes wait for the server already`)
      }
      this.bytes += size
      this.requests.set(id, { frame, written: false, resolve, reject })
      this.flush()
    })
  }

  private take(id: number): Request | undefined {
    const request = this.requests.get(id)
    if (!request) return undefined
    this.requests.delete(id)
    this.bytes -= sizeOf(request.frame)
    if (request.written) this.underWay--
    this.flush()
    return request
  }

  private flush(): void {
    const { link } = this.room
    if (!link) return
    for (const request of this.requests.values()) {
      if (this.underWay >= most) return
      if (request.written) continue
      request.written = true
      this.underWay++
      link.write(request.frame)
    }
  }
}

function nodeOf({ node, data, edges = [], timestamp, seq }: NodeMessage): GraphNode {
  return { id: node, value: data, edges, timestamp, seq }
}

// A value as JSON has it. Throws bad_data.
function plain(value: unknown): unknown {
  return JSON.parse(jsonText('data', value))
}

// The server could make one too, but another one when it is asked again.
function newId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
