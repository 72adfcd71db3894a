// A channel of a room: messages of one name.

import { encode } from './frame.js'

/** Channel sends to links, and tells its listeners what they bring. */
export class Channel {
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
      .then(value => this.deliver(value, peer, meta))
      .catch(error => console.warn(`message on ${this.#name} dropped: ${error.message}`))
  }

  deliver(value, peer, meta) {
    this.#listeners.message.forEach(listener => listener(value, peer, meta))
  }
}
