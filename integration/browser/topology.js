// The topology of a room with cells (docs/protocol.md, "Cells"): a pure function of who is in it.

export const CELL_SIZE = 10

/** hash is that of ids, over UTF-16 code units. */
export function hash(text) {
  let h = 0
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 2654435761)
  return h >>> 0
}

/** Topology places the peers of a roster in cells of about `size`. Cells are numbers here. */
export class Topology {
  roster
  cells // members of each cell, sorted
  #cellOf = new Map()
  #bridges // of each cell, or undefined
  #bridged = new Map() // bridge → the other ends of its edges

  constructor(roster, size = CELL_SIZE) {
    this.roster = [...roster].sort()
    this.cells = Array.from({ length: Math.max(1, Math.ceil(this.roster.length / size)) }, () => [])
    for (const id of this.roster) {
      const cell = highest(this.cells.keys(), cell => hash(`${id}:${cell}`))
      this.#cellOf.set(id, cell)
      this.cells[cell].push(id)
    }
    this.#bridges = this.cells.map((members, cell) => highest(members, id => hash(`${id}@${cell}`)))
    this.#addEdges()
  }

  get ttl() {
    return Math.min(150, Math.ceil(Math.log2(this.cells.length + 1)) * 2 + 3)
  }

  cellOf = id => this.#cellOf.get(id)

  /** bridged returns the cells that a bridge is told to connect with its own; of others, none. */
  bridged = id => this.#bridged.get(id) ?? []

  isBridge = id => this.#bridged.has(id)

  /** neighbours returns the cells next to a cell, empty ones too. */
  neighbours(cell) {
    const found = new Set()
    for (let step = 1; step < this.cells.length; step *= 2) {
      if (cell - step >= 0) found.add(cell - step)
      if (cell + step < this.cells.length) found.add(cell + step)
    }
    return [...found].sort((a, b) => a - b)
  }

  /** audience returns those that listen on the channel of a cell: its members, and the bridges that connect it. */
  audience(cell) {
    const bridges = this.#bridges.filter(id => this.bridged(id).includes(cell))
    return [...new Set([...this.cells[cell], ...bridges])]
  }

  /** links returns those with whom a peer keeps a link, sorted. */
  links(id) {
    const cell = this.cellOf(id)
    const found = new Set(this.cells[cell])
    for (const other of this.neighbours(cell)) {
      if (this.#bridges[cell] === id) for (const member of this.cells[other]) found.add(member)
      else if (this.#bridges[other]) found.add(this.#bridges[other])
    }
    found.delete(id)
    return [...found].sort()
  }

  // Only cells with members have edges, which lead to higher cells. The order is that of GenosDB's lists.
  #addEdges() {
    const add = (id, cell) => id && this.#bridged.set(id, [...this.bridged(id), cell])
    for (const cell of new Set(this.#cellOf.values())) {
      for (let step = 1; cell + step < this.cells.length; step *= 2) {
        add(this.#bridges[cell], cell + step)
        add(this.#bridges[cell + step], cell)
      }
    }
  }
}

// Of equals, the first.
function highest(items, score) {
  let best
  let bestScore = -1
  for (const item of items) {
    const itemScore = score(item)
    if (itemScore > bestScore) [best, bestScore] = [item, itemScore]
  }
  return best
}
