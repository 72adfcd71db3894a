// The graph of the test server's room (docs/gateway.md, 'The graph').

/** Nodes by id, those that are gone included; each has the seq of its last change. */
export class Graph {
  nodes = new Map()
  seq = 0
  physical = 1_795_384_580_219

  get(id) {
    const node = this.nodes.get(id)
    return node?.removed ? undefined : node
  }

  set(id, fields) {
    const node = { edges: [], ...this.nodes.get(id), ...fields, node: id, seq: ++this.seq, timestamp: { physical: ++this.physical, logical: 0 } }
    this.nodes.set(id, node)
    return node
  }

  /** What becomes of a request: the node, or the code of an error. */
  do({ op, node: id, data, target, expect }) {
    const node = this.get(id)
    if (expect === 'absent' ? node : expect === 'exists' ? !node : expect && JSON.stringify(expect) !== JSON.stringify(node?.timestamp)) return 'changed'
    if (op !== 'put' && !node) return 'unknown_node'
    switch (op) {
      case 'put':
        return this.set(id, { data, removed: undefined })
      case 'patch':
        return this.set(id, { data: Object.fromEntries(Object.entries({ ...node.data, ...data }).filter(([, value]) => value !== null)) })
      case 'remove':
        return this.set(id, { removed: true, data: undefined, edges: undefined })
      case 'link':
        return this.get(target) ? this.set(id, { edges: [...new Set([...node.edges, target])] }) : 'unknown_node'
      case 'get':
        return node
    }
  }

  after(seq) {
    return [...this.nodes.values()].filter((node) => node.seq > seq).sort((a, b) => a.seq - b.seq)
  }
}

/** What a session wants of the graph, on one connection. */
export class GraphSession {
  watches = new Map() // id -> { prefix, after }

  constructor(server, say) {
    Object.assign(this, { server, say })
  }

  received(message) {
    const { op, id } = message
    if (op === 'unwatch') return this.watches.delete(id)
    if (this.server.graphError) return this.refuse(id, this.server.graphError)
    if (op === 'watch') {
      const { prefix = '', after = this.server.graph.seq } = message
      this.watches.set(id, { prefix, after })
      this.tell()
      return this.say({ op, id, seq: this.server.graph.seq })
    }
    const done = this.server.graph.do(message)
    if (typeof done === 'string') this.refuse(id, done)
    else if (!this.server.holdGraph) this.say({ op: 'node', id, ...done })
    for (const session of this.server.sessions) session.graph?.tell()
  }

  refuse(id, code) {
    this.say({ op: 'error', id, code, message: `refused: ${code}` })
  }

  /** Tells the watches what has changed. */
  tell() {
    for (const [id, watch] of this.watches) {
      for (const node of this.server.graph.after(watch.after)) {
        watch.after = node.seq
        if (node.node.startsWith(watch.prefix)) this.say({ op: 'node', id, ...node })
      }
    }
  }
}
