import type { Database, DatabaseNode, MapCallback, MapOptions, Room, RoomError } from './client.ts'
import { guarded } from './emitter.ts'
import { compile, unsupported } from './query.ts'

const known = ['query', 'field', 'order', '$limit', 'realtime']

/** The room's graph by the calls that GenosDB's database has for its own. */
export class RoomDatabase implements Database {
  constructor(readonly room: Room) {}

  get selfId(): string {
    return this.room.id
  }

  async put(value: unknown, id?: string): Promise<string> {
    return (await this.room.graph.put(value, id)).id
  }

  async get(id: string, callback?: (node: DatabaseNode | null) => void): Promise<{ result: DatabaseNode | null; unsubscribe?: () => void }> {
    const { graph } = this.room
    if (!callback) return { result: (await graph.get(id)) ?? null }
    const { ready, unsubscribe } = graph.watch({ prefix: id }, (node) => node.id === id && callback(node.removed ? null : node))
    await ready
    const result = (await graph.get(id)) ?? null
    guarded(callback, result)
    return { result, unsubscribe }
  }

  remove(id: string): Promise<void> {
    return this.room.graph.remove(id).catch(tolerate)
  }

  async link(source: string, target: string): Promise<void> {
    await this.room.graph.link(source, target).catch(tolerate)
  }

  async map(...args: (MapOptions | MapCallback)[]): Promise<{ results: DatabaseNode[]; unsubscribe?: () => void }> {
    const callback = args.find((arg) => typeof arg === 'function') as MapCallback | undefined
    const options = (args.find((arg) => typeof arg === 'object') ?? {}) as MapOptions
    const { query = {}, field, order = 'asc', $limit, realtime = callback !== undefined } = options
    for (const option of Object.keys(options)) if (!known.includes(option)) throw unsupported(option)
    if (callback && $limit !== undefined) throw unsupported('$limit with a callback')
    const fits = compile(query)
    const nodes = new Map<string, DatabaseNode>() // that fit
    let initial = true
    const { ready, unsubscribe } = this.room.graph.watch({ after: 0 }, ({ removed, seq, ...node }) => {
      const before = nodes.get(node.id)
      const fit = !removed && fits(node.value)
      if (fit) nodes.set(node.id, node)
      else nodes.delete(node.id)
      if (initial || (!fit && !before)) return
      const action = !fit ? 'removed' : before ? 'updated' : 'added'
      callback?.({ ...(fit ? node : before!), action })
    })
    try {
      await ready
    } catch (error) {
      unsubscribe()
      throw error
    }
    initial = false
    if (!realtime || !callback) unsubscribe()
    const results = [...nodes.values()]
    if (field !== undefined) results.sort((a, b) => compare(a.value?.[field], b.value?.[field]) * (order === 'desc' ? -1 : 1))
    for (const node of results) if (callback) guarded(callback, { ...node, action: 'initial' })
    return { results: results.slice(0, $limit), ...(realtime && callback && { unsubscribe }) }
  }
}

// GenosDB says of a node that does not exist no more than this.
function tolerate(error: RoomError): void {
  if (error.code !== 'unknown_node') throw error
  console.warn(error.message)
}

function compare(a: any, b: any): number {
  return a < b ? -1 : a > b ? 1 : 0
}
