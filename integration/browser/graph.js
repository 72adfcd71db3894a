// The graph of a database (docs/protocol.md, "Graph sync"): clock, operations, log, and what a peer is answered.

const LOG = 200
const AHEAD = 7_200_000

/** compare orders timestamps; null is before all others. */
export const compare = (a, b) => (a?.physical ?? -1) - (b?.physical ?? -1) || (a?.logical ?? -1) - (b?.logical ?? -1)

const later = (a, b) => (compare(a, b) > 0 ? a : b)

/** Graph calls changed(action, node) after each change: added, updated or removed. */
export class Graph {
  nodes = new Map() // id → {id, value, edges, timestamp}
  #log = [] // the last operations, without values
  #clock = { physical: 0, logical: 0 }
  #highest = null // the greatest timestamp applied
  #changed

  constructor(saved, changed) {
    this.#changed = changed
    if (!saved) return
    this.nodes = new Map(saved.nodes.map(node => [node.id, node]))
    this.#log = saved.log
    this.#clock = saved.clock
    this.#highest = saved.highest
  }

  /** state is what the constructor takes. */
  get state() {
    return { nodes: [...this.nodes.values()], log: this.#log, clock: this.#clock, highest: this.#highest }
  }

  /** asks is the first message on a new link. */
  get asks() {
    return [{ type: 'sync', timestamp: this.#highest }]
  }

  /** put, remove and link make a local change, and return the operation to send. */
  put = (id, value) => this.#local({ type: 'upsert', id, value })
  link = (sourceId, targetId) => this.#local({ type: 'link', sourceId, targetId })
  remove(id) {
    const value = this.nodes.get(id)?.value
    // Who removes a node cleans the edges that lead to it; receivers do not.
    for (const node of this.nodes.values()) node.edges = node.edges.filter(edge => edge !== id)
    return this.#local({ type: 'remove', id, value })
  }

  /** receive applies an operation, and returns the message to answer with, or nothing. */
  receive(op) {
    if (op.type === 'sync') return this.#answer(op.timestamp)
    if (op.type === 'fullStateSync') return this.#merge(op)
    if (op.type === 'deltaSync') op.operations.forEach(op => this.#apply(op))
    else this.#apply(op)
  }

  #local(op) {
    const clock = this.#clock
    this.#clock = { physical: Math.max(clock.physical, Date.now()), logical: clock.logical + 1 }
    op.timestamp = this.#clock
    this.#apply(op, true)
    return op
  }

  #apply({ type, id, value, sourceId, targetId, edges, timestamp = null }, local = false) {
    timestamp = capped(timestamp)
    const node = this.nodes.get(id ?? sourceId)
    if (node && compare(timestamp, node.timestamp) <= 0) return
    if (type === 'upsert') {
      if (value === undefined || this.#removed(id, timestamp)) return
      this.nodes.set(id, { id, value, edges: edges ?? node?.edges ?? [], timestamp })
      this.#note({ type, id, timestamp }, local)
      this.#changed(node ? 'updated' : 'added', this.nodes.get(id))
    } else if (type === 'remove' && node) {
      this.nodes.delete(id)
      this.#note({ type, id, timestamp }, local)
      this.#changed('removed', { ...node, timestamp })
    } else if (type === 'link' && node && this.nodes.has(targetId)) {
      if (!node.edges.includes(targetId)) node.edges.push(targetId)
      node.timestamp = timestamp
      this.#note({ type, sourceId, targetId, timestamp }, local)
      this.#changed('updated', node)
    }
  }

  #note(op, local) {
    this.#log.push(op)
    if (this.#log.length > LOG) this.#log.shift()
    this.#highest = later(op.timestamp, this.#highest)
    if (local || !op.timestamp) return
    const { physical, logical } = this.#clock
    this.#clock = {
      physical: Math.max(physical, op.timestamp.physical, Date.now()),
      logical: Math.max(logical, op.timestamp.logical) + 1,
    }
  }

  #removed = (id, timestamp) =>
    this.#log.some(op => op.type === 'remove' && op.id === id && compare(op.timestamp, timestamp) > 0)

  #answer(asked) {
    const oldest = this.#log.reduce((oldest, { timestamp }) => (compare(timestamp, oldest) < 0 ? timestamp : oldest), this.#highest)
    if (!asked || (this.#log.length && compare(asked, oldest) < 0)) return this.#full()
    if (!this.#log.length) return
    const operations = this.#log.map(op => (op.type === 'upsert' ? { ...op, value: this.nodes.get(op.id)?.value } : op))
    return [{ type: 'deltaSync', operations, timestamp: this.#highest }]
  }

  #full() {
    const removals = this.#log.filter(op => op.type === 'remove')
    return [{ type: 'fullStateSync', graphData: Object.fromEntries(this.nodes), removals, timestamp: this.#highest }]
  }

  #merge({ graphData, removals = [], timestamp }) {
    for (const node of Object.values(graphData)) this.#apply({ type: 'upsert', ...node })
    removals.forEach(op => this.#apply(op))
    this.#highest = later(timestamp, this.#highest)
    const lacks = Object.values(graphData).some(({ id, timestamp }) => this.#removed(id, timestamp))
    const older = [...this.nodes.values()].some(node => {
      const theirs = graphData[node.id]
      return !theirs || compare(node.timestamp, theirs.timestamp) > 0
    })
    if (lacks || older) return this.#full()
  }
}

const capped = timestamp =>
  timestamp && { ...timestamp, physical: Math.min(timestamp.physical, Date.now() + AHEAD) }
