// Who is in a room with cells, and when that is sealed (docs/protocol.md, "Cells").

const QUIET = 2_000
const MAX_WAIT = 10_000
const SILENCE = 90_000
const SUSPICION = 30_000

/** Census counts the peers that announce themselves. Times are in ms. */
export class Census {
  #heard = new Map() // peer → when it last announced itself
  #first = 0 // when somebody came or said goodbye, the first since the last seal, or 0
  #last = 0
  #missed = 0 // when somebody was missed, the first since the last seal, or 0

  heard(peer, now) {
    if (!this.#heard.has(peer)) this.#change(now)
    this.#heard.set(peer, now)
  }

  /** lost takes a peer out that said goodbye. */
  lost(peer, now) {
    if (this.#heard.delete(peer)) this.#change(now)
  }

  /** due returns the peers to seal, or null if it is not the time. */
  due(now) {
    for (const [peer, heard] of this.#heard) {
      if (now - heard < SILENCE) continue
      this.#heard.delete(peer)
      this.#missed ||= now
    }
    const urgent = this.#first && (now - this.#last >= QUIET || now - this.#first >= MAX_WAIT)
    const suspect = this.#missed && now - this.#missed >= SUSPICION
    if (!urgent && !suspect) return null
    this.#first = this.#missed = 0
    return [...this.#heard.keys()]
  }

  #change(now) {
    this.#first ||= now
    this.#last = now
  }
}
