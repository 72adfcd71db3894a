// A GenosRTC room: who is here, links to them, channels.

import { channelName, encode } from './frame.js'
import { Link } from './link.js'
import { Envelope, rootTopic, selfTopic } from './signaling.js'

const ANNOUNCE = 2500
const OFFER_LIFE = 57_000
const COOLDOWN = 30_000
const LEAVE = 100

/** Room is what GenosDB calls db.room, as far as the tests use it. */
export class Room {
  #id
  #name
  #relays
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

  constructor({ id, name, password, relays }) {
    this.#id = id
    this.#name = name
    this.#relays = relays
    this.#envelope = new Envelope(name, password)
    this.#rootTopic = rootTopic(name)
    this.#selfTopic = selfTopic(name, id)
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
    if (!this.#channels.has(name)) this.#channels.set(name, new Channel(name, this.#links))
    return this.#channels.get(name)
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
    const start = performance.now()
    return new Promise(resolve => {
      this.#pings.set(id, [...(this.#pings.get(id) ?? []), () => resolve(performance.now() - start)])
      this.#links.get(id).now('@_ping')
    })
  }

  /** leave says goodbye to all at once, and closes the links a moment later. */
  leave() {
    clearInterval(this.#announcing)
    for (const link of this.#links.values()) link.now('@_leave')
    for (const relay of this.#relays) relay.publish(this.#rootTopic, { peerId: this.#id, bye: 1 })
    this.#unsubscribe.forEach(unsubscribe => unsubscribe())
    setTimeout(() => {
      for (const link of this.#links.values()) link.close()
      for (const id of this.#offers.keys()) this.#dropOffers(id)
    }, LEAVE)
  }

  #emit(event, ...args) {
    this.#listeners.get(event)?.forEach(listener => listener(...args))
  }

  #announce(relay) {
    relay.publish(this.#rootTopic, { peerId: this.#id })
  }

  #onSignal(relay, { peerId, type, bye, offer, answer }) {
    if (!peerId || peerId === this.#id) return
    if (bye) return this.#emit('peer:lost', peerId)
    if (type) this.#types.set(peerId, type)
    this.#emit('peer:seen', peerId, type)
    if (offer) this.#onOffer(relay, peerId, offer.sdp)
    else if (answer) this.#onAnswer(relay, peerId, answer.sdp)
    else this.#onAnnounce(relay, peerId)
  }

  async #onAnnounce(relay, peer) {
    if (this.#links.has(peer) || this.#offers.get(peer)?.has(relay) || this.#cooling.get(peer) > Date.now()) return
    const link = this.#newLink(peer)
    if (!this.#offers.has(peer)) this.#offers.set(peer, new Map())
    this.#offers.get(peer).set(relay, link)
    setTimeout(() => this.#expire(peer, relay, link), OFFER_LIFE)
    const sdp = await this.#envelope.seal(await link.offer())
    relay.publish(selfTopic(this.#name, peer), { peerId: this.#id, offer: { type: 'offer', sdp } })
  }

  async #onOffer(relay, peer, sealed) {
    if (this.#links.has(peer)) return
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

  #newLink(peer) {
    const link = new Link({
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

class Channel {
  #name
  #links
  #nonce = 0
  #listeners = { message: [], progress: [] }
  #encoding = Promise.resolve()
  #decoding = Promise.resolve()

  constructor(name, links) {
    this.#name = name
    this.#links = links
  }

  on(event, listener) {
    this.#listeners[event].push(listener)
  }

  /** send resolves when all frames were handed to all links, and rejects if one could not take them. */
  async send(data, targets, meta, onProgress) {
    const peers = targets == null ? [...this.#links.keys()] : [targets].flat().filter(id => this.#links.has(id))
    const nonce = this.#nonce++ & 255
    // Messages leave in the order of the calls, although compression takes its time.
    const encoded = this.#encoding.then(() => encode(this.#name, nonce, data, meta))
    this.#encoding = encoded.catch(() => {})
    const frames = await encoded
    await Promise.all(
      peers.map(async peer =>
        this.#links.get(peer)?.send(frames, i => onProgress?.((i + 1) / frames.length, peer, meta)),
      ),
    )
  }

  receive({ progress, meta, data }, peer) {
    this.#listeners.progress.forEach(listener => listener(progress, peer, meta))
    if (!data) return
    this.#decoding = this.#decoding
      .then(data)
      .then(value => this.#listeners.message.forEach(listener => listener(value, peer, meta)))
      .catch(error => console.warn(`message on ${this.#name} dropped: ${error.message}`))
  }
}
