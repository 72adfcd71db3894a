// Rooms with cells: one topology, and messages that cross it.

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { Topology } from '../browser/topology.js'
import { fingerprint } from '../pages/value.js'
import { ready } from './page.js'
import { others } from './presence.js'
import { until } from './until.js'

const name = cell => `cell-${cell}`

// Whoever went without a word is in browsers' rosters for two minutes, and an offer that came before the
// other side's seal keeps its sender from another one for one and a half (docs/protocol.md, "Cells").
const AGREE = 240_000
const FLOWS = 60_000

// A copy of a message may take a longer way than the first.
const LATE = 1_000

/**
 * agree waits until all participants and `silent` others, such as the server's peer, are in one
 * topology, and resolves with it. Unless `links` is false, the pages then have the links of their
 * places, and no others.
 */
export async function agree(participants, size, { silent = 0, links: linked = true, timeout = AGREE } = {}) {
  let topology, odd
  await until('all agree on one topology', async () => {
    const states = await Promise.all(participants.map(one => one.meshState()))
    topology = new Topology(states[0].roster, size)
    const links = await Promise.all(participants.map(one => (linked && one.tab ? one.peers() : topology.links(one.id))))
    odd = participants.flatMap((one, i) => {
      const faults = differences(topology, one.id, states[i], links[i])
      return faults.length ? [`${one.label}: ${faults.join(', ')}`] : []
    })
    if (topology.roster.length !== participants.length + silent) odd.push(`${topology.roster.length} in it`)
    return odd.length === 0
  }, timeout).catch(error => {
    throw new Error(`${error.message}: ${odd.join('; ')}`)
  })
  for (const one of participants) {
    const seen = Object.entries(await one.meshPeers()).filter(([id, place]) => !isDeepStrictEqual(pick(place), placeOf(topology, id)))
    assert.deepEqual(seen, [], `what ${one.label} knows of the others`)
  }
  return topology
}

/**
 * fill opens pages, and has them join a room at the same time: whom GenosDB has pruned it links with
 * badly for a while (docs/protocol.md, "Cells"), so that the first topology is to have them all.
 */
export async function fill(stage, room, count, { label = 'page', cells, channels }) {
  const pages = await Promise.all(Array.from({ length: count }, (_, n) => stage.open(`${label} ${n + 1}`)))
  await Promise.all(pages.map(page => page.join(room, { rtc: { relayUrls: [stage.server.relay], cells } }, channels)))
  return pages
}

/** openAs opens a page that will join under an id of ours: a page keeps it in its tab, as reloads have it. */
export async function openAs(stage, id, label, script) {
  const page = await stage.open(label)
  await page.tab.evaluate(id => sessionStorage.setItem('__genosrtcId', id), id)
  if (script) await page.tab.addInitScript({ path: script })
  await page.tab.reload()
  await ready(page.tab)
  return page
}

/** shape says how many there are in each cell. */
export const shape = ({ cells }) => cells.map(members => members.length).join(' + ')

// What is not as the topology has it. Whoever is not in it differs in everything.
function differences(topology, id, state, links) {
  if (!isDeepStrictEqual([...state.roster].sort(), topology.roster)) return [`a roster of ${state.roster.length}`]
  if (!topology.roster.includes(id)) return ['it is not in the roster']
  const { cellId: cell, totalCells, dynamicTTL } = state
  const expected = { ...placeOf(topology, id), totalCells: topology.cells.length, dynamicTTL: topology.ttl }
  const seen = { ...pick({ ...state, cell }), totalCells, dynamicTTL }
  const faults = isDeepStrictEqual(seen, expected) ? [] : [`${JSON.stringify(seen)} is not ${JSON.stringify(expected)}`]
  const due = topology.links(id)
  const missing = due.filter(peer => !links.includes(peer)).length
  const more = links.filter(peer => !due.includes(peer)).length
  return missing + more ? [...faults, `${missing} links are missing, ${more} too many`] : faults
}

const pick = ({ cell, isBridge, bridges }) => ({ cell, isBridge, bridges })
const placeOf = (topology, id) =>
  ({ cell: name(topology.cellOf(id)), isBridge: topology.isBridge(id), bridges: topology.bridged(id).map(name) })

let rounds = 0

/** Tally has participants say things, and counts what of it arrives. */
export class Tally {
  #participants
  #say
  #heard
  #round

  constructor(participants, say = (one, value, options) => one.send('chat', { value }, options), heard = one => one.messages()) {
    this.#participants = participants
    this.#say = say
    this.#heard = heard
  }

  /** ofMesh is for what the mesh itself is told, and no channel. */
  static ofMesh = participants => new Tally(participants, (one, value) => one.meshSend({ value }), one => one.meshMessages())

  /**
   * broadcast has each say `count` things to all; each of the others must hear them once.
   * from(sender, receiver) is the id that the receiver is told.
   */
  async broadcast(count, { from = sender => sender.id, timeout } = {}) {
    const due = this.#due()
    await Promise.all(this.#participants.map(async sender => {
      for (let n = 0; n < count; n++) {
        const value = this.#text(sender, n)
        for (const receiver of others(this.#participants, sender)) due.get(receiver).push(entry(from(sender, receiver), value))
        await this.#say(sender, value)
      }
    }))
    await this.#settle(due, timeout)
  }

  /** flows resolves as soon as what each says to all reaches all others once. */
  async flows({ from, timeout = FLOWS } = {}) {
    const start = Date.now()
    for (;;) {
      try {
        return await this.broadcast(1, { from, timeout: 5_000 })
      } catch (error) {
        if (error instanceof assert.AssertionError || Date.now() - start > timeout) throw error
      }
    }
  }

  /** directed has each say something to each other alone. */
  async directed({ timeout } = {}) {
    const due = this.#due()
    await Promise.all(this.#participants.map(async sender => {
      for (const receiver of others(this.#participants, sender)) {
        const value = this.#text(sender, receiver.label)
        due.get(receiver).push(entry(sender.id, value))
        await this.#say(sender, value, { to: [receiver.id] })
      }
    }))
    await this.#settle(due, timeout)
  }

  #due() {
    this.#round = ++rounds
    return new Map(this.#participants.map(one => [one, []]))
  }

  #text = (sender, what) => `round ${this.#round}: ${sender.label}, ${what}`

  async #settle(due, timeout = 20_000) {
    for (const [receiver, entries] of due) {
      let missing = entries
      await until(`${receiver.label} has all`, async () => {
        const heard = new Set(await this.#inRound(receiver))
        missing = entries.filter(entry => !heard.has(entry))
        return missing.length === 0
      }, timeout).catch(error => {
        throw new Error(`${error.message}: ${missing.length} of ${entries.length} are missing: ${missing.slice(0, 5).join('; ')}`)
      })
    }
    await sleep(LATE)
    for (const [receiver, entries] of due) {
      const more = await this.#inRound(receiver)
      for (const entry of entries) more.splice(more.indexOf(entry), 1)
      assert.deepEqual(more, [], `${receiver.label} has each once, and no other`)
    }
  }

  async #inRound(receiver) {
    const mine = fingerprint(`round ${this.#round}:`)
    return (await this.#heard(receiver)).filter(({ data }) => data.startsWith(mine)).map(({ from, data }) => `${from}: ${data}`)
  }
}

const entry = (from, value) => `${from}: ${fingerprint(value)}`
