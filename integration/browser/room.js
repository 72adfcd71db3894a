// A GenosRTC room: who is here, links to them, channels.

import { Channel } from './channel.js'
import { channelName } from './frame.js'
import { Link } from './link.js'
import { Mesh, MeshChannel } from './mesh.js'
import { Envelope, rootTopic, selfTopic } from './signaling.js'

const ANNOUNCE = 2500
const OFFER_LIFE = 57_000
const COOLDOWN = 30_000
const LEAVE = 100

/** Room is what GenosDB calls db.room, as far as the tests use it. */
export class Room {
  mesh // of a room with cells
  #id
  #name
  #relays
  #iceServers
  #envelope
  #rootTopic
  #selfTopic
  #links = new Map() // peer id → open Link
  #offers = new Map() // peer id → Map of Relay → Link that waits for its answer
  #cooling = new Map() // peer id → when it may be offered again
  #types = new Map()
  #channels = new Map()
  #listeners = new Map()
  #pings = new Map()
  #unsubscribe = []
  #announcing

  /** cells is undefined, true or {cellSize}. */
  constructor({ id, name, password, relays, turnConfig, cells }) {
    this.#id = id
    this.#name = name
    this.#relays = relays
    this.#iceServers = turnConfig
    this.#envelope = new Envelope(name, password)
    this.#rootTopic = rootTopic(name)
    this.#selfTopic = selfTopic(name, id)
    if (cells) {
      this.mesh = new Mesh(id, cells.cellSize, {
        links: this.#links,
        channel: name => this.#plain(name),
        deliver: (name, data, from) => this.#channels.get(name)?.deliver(data, from),
        drop: peer => this.#links.get(peer)?.close(),
        emit: (...event) => this.#emit(...event),
      })
    }
    for (const relay of relays) {
      const handle = content => this.#onSignal(relay, content)
      this.#unsubscribe.push(relay.subscribe(this.#selfTopic, handle))
      this.#unsubscribe.push(relay.subscribe(this.#rootTopic, handle, () => this.#announce(relay)))
    }
    this.#announcing = setInterval(() => relays.forEach(relay => this.#announce(relay)), ANNOUNCE)
  }

  on(event, listener) {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener])
  }

  channel(name) {
    channelName(name)
    const plain = this.#plain(name)
    return this.mesh ? new MeshChannel(name, this.mesh, this.#links, plain) : plain
  }

  getPeers() {
    return Object.fromEntries(Array.from(this.#links, ([id, link]) => [id, link.pc]))
  }

  /** link gives the tests the raw link to a peer. */
  link(id) {
    return this.#links.get(id)
  }

  /** ping resolves with the round trip in milliseconds, when the answer comes. */
  ping(id) {
    if (this.mesh) return this.mesh.ping(id)
    const start = performance.now()
    return new Promise(resolve => {
      this.#pings.set(id, [...(this.#pings.get(id) ?? []), () => resolve(performance.now() - start)])
      this.#links.get(id).now('@_ping')
    })
  }

  /** leave says goodbye to all at once, and closes the links a moment later. */
  leave() {
    this.mesh?.destroy()
    clearInterval(this.#announcing)
    for (const link of this.#links.values()) link.now('@_leave')
    for (const relay of this.#relays) relay.publish(this.#rootTopic, { peerId: this.#id, bye: 1 })
    this.#unsubscribe.forEach(unsubscribe => unsubscribe())
    setTimeout(() => {
      for (const link of this.#links.values()) link.close()
      for (const id of this.#offers.keys()) this.#dropOffers(id)
    }, LEAVE)
  }

  #plain(name) {
    if (!this.#channels.has(name)) this.#channels.set(name, new Channel(name, this.#links))
    return this.#channels.get(name)
  }

  #emit(event, ...args) {
    this.#listeners.get(event)?.forEach(listener => listener(...args))
  }

  #announce(relay) {
    relay.publish(this.#rootTopic, { peerId: this.#id })
  }

  #onSignal(relay, { peerId, type, bye, offer, answer }) {
    if (!peerId || peerId === this.#id) return
    if (bye) {
      this.mesh?.lost(peerId)
      return this.#emit('peer:lost', peerId)
    }
    if (type) this.#types.set(peerId, type)
    this.#emit('peer:seen', peerId, type)
    if (offer) this.#onOffer(relay, peerId, offer.sdp)
    else if (answer) this.#onAnswer(relay, peerId, answer.sdp)
    else this.#onAnnounce(relay, peerId)
  }

  async #onAnnounce(relay, peer) {
    this.mesh?.heard(peer)
    if (!this.#admits(peer)) return
    if (this.#links.has(peer) || this.#offers.get(peer)?.has(relay) || this.#cooling.get(peer) > Date.now()) return
    const link = this.#newLink(peer)
    if (!this.#offers.has(peer)) this.#offers.set(peer, new Map())
    this.#offers.get(peer).set(relay, link)
    setTimeout(() => this.#expire(peer, relay, link), OFFER_LIFE)
    const sdp = await this.#envelope.seal(await link.offer())
    relay.publish(selfTopic(this.#name, peer), { peerId: this.#id, offer: { type: 'offer', sdp } })
  }

  async #onOffer(relay, peer, sealed) {
    if (this.#links.has(peer) || !this.#admits(peer)) return
    // Of two that offer at the same time, the one with the greater id stays the offerer.
    if (this.#offers.get(peer)?.has(relay) && this.#id > peer) return
    const offer = await this.#envelope.open(sealed).catch(() => null)
    if (!offer) return
    const sdp = await this.#envelope.seal(await this.#newLink(peer).answer(offer))
    relay.publish(selfTopic(this.#name, peer), { peerId: this.#id, answer: { type: 'answer', sdp } })
  }

  async #onAnswer(relay, peer, sealed) {
    const link = this.#offers.get(peer)?.get(relay)
    const answer = link && (await this.#envelope.open(sealed).catch(() => null))
    if (answer) await link.accept(answer)
  }

  #admits = peer => !this.mesh || this.mesh.admits(peer)

  #newLink(peer) {
    const link = new Link(this.#iceServers, {
      onOpen: () => {
        if (this.#links.has(peer)) return link.close()
        this.#links.set(peer, link)
        this.#dropOffers(peer, link)
        this.#emit('peer:join', peer, this.#types.get(peer))
      },
      onClose: () => {
        const offers = this.#offers.get(peer)
        offers?.forEach((offered, relay) => offered === link && offers.delete(relay))
        if (this.#links.get(peer) !== link) return
        this.#links.delete(peer)
        this.#pings.delete(peer)
        this.#emit('peer:leave', peer)
      },
      onPong: () => this.#pings.get(peer)?.shift()?.(),
      onStream: (stream, meta) => this.#emit('stream:add', stream, peer, meta),
      onFrame: frame => {
        const channel = this.#channels.get(frame.name)
        if (channel) channel.receive(frame, peer)
        else console.warn(`no channel ${JSON.stringify(frame.name)}`)
      },
    })
    return link
  }

  #dropOffers(peer, except) {
    const offers = [...(this.#offers.get(peer)?.values() ?? [])]
    this.#offers.delete(peer)
    for (const link of offers) if (link !== except) link.close()
  }

  #expire(peer, relay, link) {
    if (this.#offers.get(peer)?.get(relay) !== link) return
    this.#cooling.set(peer, Date.now() + COOLDOWN)
    link.close()
  }
}
