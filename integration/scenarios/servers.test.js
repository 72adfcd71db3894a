// Two servers in one room, each with its own relay and the other's: everybody hears everybody once,
// while relays and servers come and go.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { check } from '../lib/check.js'
import { Client } from '../lib/client.js'
import { Gate } from '../lib/gate.js'
import { Page, launch } from '../lib/page.js'
import { others, servers } from '../lib/presence.js'
import { Server } from '../lib/server.js'
import { kind } from '../lib/stage.js'
import { serve } from '../lib/static.js'
import { until } from '../lib/until.js'

// In test.sh, with the race detector on two cores; the links are the square of it. CLIENTS=10 is the
// size to try by hand: integration/run.sh scenarios/servers.test.js
const CLIENTS = Number(process.env.CLIENTS ?? 4)
const NUMBERS = 5 // that everybody says in a round
const CONNECTED = 60_000
const GONE = 10_000 // within which a killed server is noticed

let site, browser
const sides = []

before(async () => {
  site = await serve()
  browser = await launch()
  // Each relay is reached through a gate, but by its own server and that server's clients.
  const gates = [8200, 8201]
  for (const [i, gate] of gates.entries()) {
    const relay = `ws://localhost:${gates[1 - i]}/genosrtc/relay`
    const server = await Server.configured(`servers-${'ab'[i]}`, ({ port }) => caddyfile(port, relay))
    sides.push({ name: 'AB'[i], server, gate: new Gate(gate, server.port), clients: [] })
  }
  await Promise.all(sides.flatMap(({ server, gate }) => [gate.open(), server.start()]))
})
after(async () => {
  await browser?.close()
  site?.close()
  for (const { server, gate } of sides) {
    gate.cut()
    await server.close()
  }
})

test('two servers', async t => {
  const [a, b] = sides
  const talk = new Talk()
  let pages = []
  const all = () => [...pages, ...a.clients, ...b.clients]
  // How long it took is told beside the check.
  const timed = async (what, run) => {
    const start = Date.now()
    await run()
    t.diagnostic(`${what}: ${Date.now() - start} ms`)
  }

  await check(t, 'all clients hear all', async () => {
    await timed(`${2 * CLIENTS} clients joined, and ${(CLIENTS + 1) ** 2} links opened`, async () => {
      for (const side of sides) await join(side)
      await connected(all(), 2)
    })
    await talk.round(all())
  })

  // Relays do not tell each other what they hear, and peers do not speak for others: these pages have
  // never heard of each other.
  const apart = (one, other) => pages.includes(one) && pages.includes(other)
  await check(t, 'a page that knows one relay hears all peers of both servers', async () => {
    pages = [await open('page of A', a), await open('page of B', b)]
    await timed('connected', () => connected(all(), 2, { apart }))
    await talk.round(all(), apart)
    for (const page of pages) await page.close()
    pages = []
    await connected(all(), 2)
  })

  await check(t, 'pages that know both relays hear all, and each other', async () => {
    pages = [await open('page 1', a, b), await open('page 2', b, a)]
    await timed('connected', () => connected(all(), 2))
    await talk.round(all())
  })

  await check(t, 'a relay cannot be reached: nobody loses anybody, and others join', async () => {
    const before = await Promise.all(all().map(leaves))
    a.gate.cut()
    await talk.round(all())
    const stay = all()
    for (const side of sides) side.clients.push(await client(side, 'late'))
    pages.push(await open('late page', a, b))
    await timed('connected with the newcomers', () => connected(all(), 2))
    await talk.round(all())
    assert.deepEqual(await Promise.all(stay.map(leaves)), before)
  })

  await check(t, 'the relay is back: a page that knows only that one hears the peers of both servers', async () => {
    await a.gate.open()
    const both = pages
    pages = [await open('another page of A', a)]
    await timed('connected', () => connected(all(), 2, { ignore: both }))
    await pages[0].close()
    pages = both
    await connected(all(), 2)
  })

  await check(t, 'a server is killed: its peers are gone for the others within 10 s', async () => {
    const lost = b.clients
    b.clients = []
    const start = Date.now()
    await b.server.kill()
    const times = await Promise.all(all().map(async one => {
      await connected([one], 1, { to: all(), timeout: GONE })
      return [one instanceof Page, Date.now() - start]
    }))
    for (const [who, isPage] of [['clients', false], ['pages', true]]) {
      const ms = times.filter(([page]) => page === isPage).map(([, ms]) => ms)
      t.diagnostic(`gone for ${who} after ${Math.min(...ms)} to ${Math.max(...ms)} ms`)
    }
    for (const one of lost) await until(`${one.label} is cut off`, () => one.ended)
    await talk.round(all())
  })

  await check(t, 'it returns: all hear all again', async () => {
    await timed('started', () => b.server.start())
    await timed(`${CLIENTS} clients joined, and all are connected`, async () => {
      await join(b)
      await connected(all(), 2)
    })
    await talk.round(all())
  })
  for (const page of pages) await page.close()
})

// Talk is rounds in which everybody says numbers to all. Nobody may hear one twice, neither at once nor
// by the next round.
class Talk {
  #number = 0
  #due = new Map()

  async round(participants, apart = () => false) {
    const values = Array.from({ length: NUMBERS }, () => this.#number++)
    await Promise.all(participants.map(async one => {
      for (const value of values) await one.send('chat', { value })
    }))
    for (const one of participants) {
      const heard = others(participants, one).filter(other => !apart(one, other))
      const due = this.#due.get(one) ?? []
      this.#due.set(one, [...due, ...heard.flatMap(({ id }) => values.map(value => `${id} ${value}`))])
    }
    for (const one of participants) await this.#settle(one)
  }

  async #settle(one) {
    const due = this.#due.get(one).toSorted()
    const heard = async () => (await one.messages()).map(({ from, data }) => `${from} ${data.replace('json ', '')}`).toSorted()
    await until('', async () => (await heard()).length >= due.length).catch(() => {}) // told below
    const came = await heard()
    if (came.join() === due.join()) return
    const [missing, more] = [due.filter(line => !came.includes(line)), came.filter((line, i) => line === came[i - 1] || !due.includes(line))]
    assert.fail(`${one.label} (${one.id}) lacks ${missing.join(', ') || 'nothing'}, and heard ${more.join(', ') || 'nothing'} too often`)
  }
}

/**
 * connected waits until each of the participants is connected with all others in `to`, with as many
 * servers as said, and with nobody else but those to ignore.
 */
async function connected(participants, count, { to = participants, apart = () => false, ignore = [], timeout = CONNECTED } = {}) {
  await Promise.all(participants.map(async one => {
    const ignored = ignore.map(({ id }) => id)
    const due = others(to, one).filter(other => !apart(one, other)).map(({ id }) => id)
    const state = async () => {
      const [peers, found] = [await one.peers(), await servers(one)]
      const rest = peers.filter(peer => !found.includes(peer) && !ignored.includes(peer))
      return { missing: due.filter(id => !rest.includes(id)), more: rest.filter(id => !due.includes(id)), servers: found.length }
    }
    let last
    await until('', async () => {
      last = await state()
      return last.missing.length === 0 && last.more.length === 0 && last.servers === count
    }, timeout).catch(() => {
      throw new Error(`${one.label}, after ${timeout} ms: ${JSON.stringify(last)}`)
    })
  }))
}

const leaves = async one => (await one.events()).filter(({ event }) => event === 'leave').length

const client = ({ name, server }, label) =>
  Client.join(server.room('demo'), 'json', { label: `${label} client of ${name}` })

// The clients of a side come at once.
async function join(side) {
  side.clients = await Promise.all(Array.from({ length: CLIENTS }, (_, i) => client(side, i)))
}

async function open(label, ...relays) {
  const page = await Page.open(browser, site.url, label, kind)
  await page.join('demo', { rtc: { relayUrls: relays.map(({ gate }) => gate.relay) } }, ['chat'])
  return page
}

// Clients that are lost here do not come back: a server that returns keeps their places for 5 s only.
const caddyfile = (port, relay) => `{
	admin off
	persist_config off
	auto_https off
	genosrtc {
		udp 127.0.0.1:${port}
		relays ${relay}
	}
}
http://:${port} {
	bind 127.0.0.1
	genosrtc {
		room demo
		limits {
			resume 5s
		}
	}
}
`
