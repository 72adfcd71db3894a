// Numbered messages, by which a receiver notices at once what is lost, doubled or out of order.
// Pages and Node clients run the same.

const TICK = 100
const TEXT = 'the quick brown fox jumps over the lazy dog, and once more over it '
const KEPT = 20 // faults that are kept word for word

/** channels that a Traffic uses. */
export const channels = ['all', 'few']

/**
 * Traffic sends messages and keeps account of those that come. Each sender numbers what it says to
 * all, and what it says to its few: these are always the same.
 */
export class Traffic {
  #name
  #send
  #sent = { all: 0, few: 0 }
  #heard = { all: {}, few: {} }
  #received = 0
  #faults = []
  #more = 0
  #timer

  /** send is called as send(channel, data, to); to is null for all. */
  constructor(name, send) {
    this.#name = name
    this.#send = send
  }

  /** start sends `rate` messages a second, one in `share` of them to all, the others to the few. */
  start({ rate, share, few }) {
    let turn = Math.floor(Math.random() * share)
    let owed = Math.random()
    let last = performance.now()
    this.#timer = setInterval(() => {
      // By the clock, as a busy machine makes ticks late.
      const now = performance.now()
      owed += (rate * (now - last)) / 1000
      last = now
      for (; owed >= 1; owed--) {
        const channel = turn++ % share === 0 ? 'all' : 'few'
        const data = { from: this.#name, n: ++this.#sent[channel], text: TEXT }
        Promise.resolve(this.#send(channel, data, channel === 'all' ? null : few)).catch(error => this.fault(error.message))
      }
    }, TICK)
  }

  /** stop resolves with how many messages were sent on each channel. */
  stop() {
    clearInterval(this.#timer)
    return this.#sent
  }

  hear(channel, { from, n, text }) {
    const before = this.#heard[channel][from] ?? 0
    if (n !== before + 1) this.fault(`${channel} of ${from}: ${n} after ${before}`)
    if (text !== TEXT) this.fault(`${channel} of ${from}: ${n} says ${text}`)
    this.#heard[channel][from] = Math.max(n, before)
    this.#received++
  }

  /** fault notes what must not happen. */
  fault(text) {
    if (this.#faults.length < KEPT) this.#faults.push(`${this.#name}: ${text}`)
    else this.#more++
  }

  /** report returns the highest number heard of each sender, and what was wrong. */
  report() {
    const faults = this.#more > 0 ? [...this.#faults, `${this.#name}: and ${this.#more} more`] : this.#faults
    return { heard: this.#heard, received: this.#received, faults }
  }
}

/** calls are those of a page (participant.js) that takes part in traffic; room returns its room. */
export function calls(room) {
  let traffic
  return {
    traffic(name) {
      traffic = new Traffic(name, (channel, data, to) => room().channel(channel).send(data, to ?? undefined))
      for (const channel of channels) room().channel(channel).on('message', data => traffic.hear(channel, data))
    },
    start: options => traffic.start(options),
    stop: () => traffic.stop(),
    report: () => traffic.report(),
  }
}
