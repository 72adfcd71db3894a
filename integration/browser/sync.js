// The sync room of a database: its graph on one side, the other peers on the other.

const BATCH = 16

/** Sync keeps a graph and those of a room's other peers the same. */
export class Sync {
  #graph
  #channel
  #batch = null

  constructor(room, graph) {
    this.#graph = graph
    this.#channel = room.channel('syncGraph')
    this.#channel.on('message', message => {
      for (const op of [message].flat()) this.#say(graph.receive(op))
    })
    room.on('peer:join', () => this.#say(graph.asks))
  }

  /** local sends an operation of this page, with others of the same moment. */
  local(op) {
    if (!this.#batch) {
      this.#batch = []
      setTimeout(() => {
        this.#say(this.#batch)
        this.#batch = null
      }, BATCH)
    }
    this.#batch.push(op)
  }

  // To everybody, answers too, as GenosDB does.
  #say(message) {
    if (message) this.#channel.send(message).catch(error => console.warn(`syncGraph: ${error.message}`))
  }
}
