// Many sessions and some pages, in traffic with each other.

import assert from 'node:assert/strict'
import { channels } from '../pages/traffic.js'
import { serverOf } from '../lib/presence.js'
import { until } from '../lib/until.js'
import { Session } from './session.js'

// Whom a participant names, by their distance in the ring of all.
const FEW = [1, 7, 13]

/** Company is all of them. */
export class Company {
  #all

  constructor(sessions, pages) {
    this.sessions = sessions
    this.pages = pages
    this.#all = [...pages, ...sessions]
  }

  /** gather opens sessions, half of them in each encoding, and pages, and waits until they are connected. */
  static async gather(stage, { sessions, pages }) {
    const opened = []
    for (let i = 0; i < sessions; i++) {
      opened.push(await Session.join(stage.server.room('demo'), `session ${i}`, i % 2 ? 'json' : 'msgpack'))
    }
    const loaded = []
    for (let i = 0; i < pages; i++) loaded.push(await TalkingPage.open(stage, `page ${i}`))
    const company = new Company(opened, loaded)
    await company.#meet()
    return company
  }

  /** links is how many of them pages have with hosted peers of the server, and with each other. */
  async links() {
    const ends = await Promise.all(this.pages.map(async page => (await page.peers()).length))
    const between = (this.pages.length * (this.pages.length - 1)) / 2
    return { hosted: ends.reduce((sum, n) => sum + n, 0) - 2 * between, between }
  }

  /** start lets everybody send `rate` messages a second, one in `share` of them to all, the others to three. */
  async start(load) {
    await Promise.all(this.#all.map((one, i) => one.start({ ...load, few: this.#few(i).map(({ peer }) => peer) })))
  }

  /** stop resolves with what each has sent. */
  stop() {
    return Promise.all(this.#all.map(one => one.stop()))
  }

  /** hush stops the sessions' traffic, whatever else has failed: it would keep the test's process alive. */
  hush() {
    for (const session of this.sessions) session.stop()
  }

  /** close ends all sessions and pages. */
  async close() {
    for (const session of this.sessions) session.drop()
    for (const { page } of this.pages) await page.close()
  }

  /**
   * settle stops the traffic and waits until all has arrived. It fails with what was lost, doubled, out
   * of order or complained of, and resolves with the numbers of messages sent and received.
   */
  async settle() {
    const sent = await this.stop()
    const missing = async () => {
      const lines = []
      for (const [r, receiver] of this.#all.entries()) {
        const { heard } = await receiver.report()
        for (const [s, sender] of this.#all.entries()) {
          for (const channel of channels) {
            const due = r !== s && (channel === 'all' || this.#few(s).includes(receiver)) ? sent[s][channel] : 0
            const came = heard[channel][sender.name] ?? 0
            if (came !== due) lines.push(`${receiver.name} has ${came} of ${due} of ${sender.name} to ${channel}`)
          }
        }
      }
      return lines
    }
    await until('all has arrived', async () => (await missing()).length === 0, 20_000).catch(() => {})
    const reports = await Promise.all(this.#all.map(one => one.report()))
    const faults = [...(await missing()), ...reports.flatMap(({ faults }) => faults)]
    assert.deepEqual(faults.slice(0, 40), [], `${faults.length} faults`)
    for (const session of this.sessions) assert.ok(session.acknowledged, `${session.name}: all is acknowledged`)
    return {
      sent: sent.reduce((sum, { all, few }) => sum + all + few, 0),
      received: reports.reduce((sum, { received }) => sum + received, 0),
    }
  }

  /** together fails if a WebSocket was closed or a link has ended. */
  async together() {
    for (const session of this.sessions) assert.equal(session.ended, null, `${session.name}: the WebSocket is open`)
    for (const one of this.#all) assert.deepEqual(await one.leaves(), [], `${one.name}: nobody has left it`)
  }

  async #meet() {
    const pages = this.pages.map(({ id }) => id)
    const hosted = this.sessions.filter(({ peer }) => peer).map(({ id }) => id)
    for (const page of this.pages) {
      await serverOf(page.page, 60_000)
      await sees(page, [...pages, ...hosted].filter(id => id !== page.id))
    }
    for (const session of this.sessions) {
      await sees(session, [...pages, ...this.sessions.map(({ id }) => id)].filter(id => id !== session.id))
    }
  }

  // Only those who are peers of their own can be named.
  #few(i) {
    const named = this.#all.filter(({ peer }) => peer)
    const self = this.#all[i]
    const few = new Set(FEW.map(distance => named[(i + distance) % named.length]))
    few.delete(self)
    return [...few]
  }
}

// TalkingPage is a page, with the calls of a Session.
class TalkingPage {
  constructor(name, page) {
    this.name = name
    this.page = page
  }

  static async open(stage, name) {
    const page = await stage.page('demo', { label: name })
    await page.ask('traffic', name)
    return new TalkingPage(name, page)
  }

  get id() {
    return this.page.id
  }
  get peer() {
    return this.page.id
  }
  peers = () => this.page.peers()
  events = () => this.page.events()
  leaves = async () => (await this.page.events()).filter(({ event }) => event === 'leave').map(({ peer }) => peer)
  start = options => this.page.ask('start', options)
  stop = () => this.page.ask('stop')
  report = () => this.page.ask('report')
}

const sees = (one, ids) =>
  until(
    `${one.name} is connected with ${ids.length} others`,
    async () => {
      const peers = await one.peers()
      return ids.every(id => peers.includes(id))
    },
    90_000,
  )
