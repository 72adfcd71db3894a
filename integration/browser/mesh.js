// The cells of a room: its topology, sealed from time to time, and the frames that cross it
// (docs/protocol.md, "Cells"). It has the faults of GenosDB, which others must cope with.

import { Census } from './census.js'
import { CELL_SIZE, Topology } from './topology.js'

const TICK = 2_000
const GRACE = 5_000
const SEEN = 5_000
const PING = 3_000

const name = cell => `cell-${cell}`

/** Mesh is what GenosDB calls db.room.mesh, as far as the tests use it. */
export class Mesh {
  #id
  #size
  #room
  #census = new Census()
  #topology
  #epoch = 1
  #seq = 0
  #seen = new Set()
  #channels = new Map() // cell → the channel of its frames
  #listeners = []
  #pings = new Map()
  #ticking

  /** room is {links, channel, deliver, drop, emit}, as Room gives them. */
  constructor(id, size = CELL_SIZE, room) {
    this.#id = id
    this.#size = size
    this.#room = room
    this.#topology = new Topology([id], size)
    this.#listen()
    this.#ticking = setInterval(() => this.#tick(), TICK)
  }

  heard = peer => this.#census.heard(peer, Date.now())
  lost = peer => this.#census.lost(peer, Date.now())

  /** admits tells whether there is to be a link with a peer: with everybody, until others are sealed. */
  admits = peer => this.#topology.roster.length === 1 || this.#topology.links(this.#id).includes(peer)

  on(event, listener) {
    if (event === 'message') this.#listeners.push(listener)
  }

  /** send says something to all; on a channel, it is {_ch, _d, _t}. */
  send = data => this.#originate('msg', data)

  ping(target) {
    const start = performance.now()
    const pingId = `${Date.now()}-${Math.random().toString(36).slice(2, 8)}`
    return new Promise((resolve, reject) => {
      this.#pings.set(pingId, () => resolve(performance.now() - start))
      setTimeout(() => reject(new Error(`no answer of ${target}`)), PING)
      this.#originate('ping', { pingId, target })
    }).finally(() => this.#pings.delete(pingId))
  }

  getState() {
    const { roster, cells, ttl } = this.#topology
    const { cell: cellId, isBridge, bridges } = this.#place(this.#id)
    const knownCells = cells.filter(members => members.length > 0).length
    const cellSize = Math.min(this.#size, roster.length)
    return { epoch: this.#epoch, cellId, isBridge, bridges, roster, cellSize, dynamicTTL: ttl, totalCells: cells.length, knownCells }
  }

  getPeerInfo() {
    return new Map(this.#topology.roster.map(id => [id, this.#place(id)]))
  }

  destroy() {
    clearInterval(this.#ticking)
  }

  get #cell() {
    return this.#topology.cellOf(this.#id)
  }
  get #bridging() {
    return this.#topology.isBridge(this.#id) ? this.#topology.neighbours(this.#cell) : []
  }

  #place(id) {
    const { cellOf, isBridge, bridged } = this.#topology
    return { cell: name(cellOf(id)), isBridge: isBridge(id), bridges: bridged(id).map(name) }
  }

  #tick() {
    const peers = this.#census.due(Date.now())
    if (!peers) return
    this.#topology = new Topology([this.#id, ...peers], this.#size)
    this.#epoch++
    this.#listen()
    setTimeout(() => this.#prune(), GRACE)
    this.#room.emit('mesh:state', this.getState())
  }

  #listen() {
    for (const cell of [this.#cell, ...this.#bridging]) {
      if (this.#channels.has(cell)) continue
      const channel = this.#room.channel(`c${cell}`)
      channel.on('message', text => this.#receive(cell, text))
      this.#channels.set(cell, channel)
    }
  }

  #prune() {
    for (const peer of this.#room.links.keys()) if (!this.admits(peer)) this.#room.drop(peer)
  }

  #originate(t, data, to) {
    const cell = this.#cell
    const id = `${this.#id}:${Date.now().toString(36)}:${this.#seq++}`
    const frame = { t, id, ttl: this.#topology.ttl, data, origin: this.#id, originCell: name(cell) }
    this.#isNew(frame)
    if (to) return this.#say(cell, frame, to)
    return Promise.all([this.#say(cell, frame), ...this.#bridging.map(next => this.#say(next, { ...frame, ttl: frame.ttl - 1 }))])
  }

  #say(cell, frame, audience = this.#topology.audience(cell)) {
    const to = audience.filter(peer => peer !== this.#id && this.#room.links.has(peer))
    return this.#channels.get(cell).send(JSON.stringify(frame), to)
  }

  #receive(cell, text) {
    const bridging = this.#bridging
    // GenosDB takes what comes on the channel of cell 0 for its own cell's, wherever it is itself.
    const own = cell === this.#cell || cell === 0
    if (!own && !bridging.includes(cell)) return
    const frame = typeof text === 'string' ? JSON.parse(text) : text
    if (!this.#isNew(frame)) return
    this.#take(frame)
    if (!(frame.ttl > 0)) return
    const onward = own ? bridging : [this.#cell, ...bridging.filter(next => next !== cell)]
    for (const next of onward) this.#say(next, { ...frame, ttl: frame.ttl - 1 })
  }

  #isNew({ id }) {
    if (this.#seen.has(id)) return false
    this.#seen.add(id)
    if (this.#seen.size > SEEN) this.#seen.delete(this.#seen.values().next().value)
    return true
  }

  #take({ t, data, origin }) {
    if (t === 'msg') {
      this.#listeners.forEach(listener => listener(data, origin))
      const to = data?._t
      if (data?._ch && (to == null || to === this.#id || to.includes?.(this.#id))) this.#room.deliver(data._ch, data._d, origin)
    } else if (t === 'ping' && data.target === this.#id) {
      const answer = { pingId: data.pingId, receivedAt: Date.now() }
      this.#originate('pong', answer, this.#room.links.has(origin) ? [origin] : undefined)
    } else if (t === 'pong') {
      this.#pings.get(data.pingId)?.()
    }
  }
}

/** MeshChannel is a channel of a room with cells. */
export class MeshChannel {
  #name
  #mesh
  #links
  #plain

  /** plain is the channel of the same name that needs no mesh. */
  constructor(name, mesh, links, plain) {
    this.#name = name
    this.#mesh = mesh
    this.#links = links
    this.#plain = plain
  }

  on = (event, listener) => this.#plain.on(event, listener)

  /** send takes the short way if there is a link with each target; then bytes stay bytes. Meta is always lost. */
  async send(data, targets, meta, onProgress) {
    const to = targets && [targets].flat()
    if (to?.every(peer => this.#links.has(peer))) return this.#plain.send(data, to, undefined, onProgress)
    await this.#mesh.send({ _ch: this.#name, _d: data, _t: to })
  }
}
