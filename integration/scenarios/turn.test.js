// Two browsers behind NATs that let nothing in, in a room with a password: they reach each other through the
// server's TURN by UDP, and where no UDP is let through, by TCP; so does each the server itself.

import assert from 'node:assert/strict'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { check } from '../lib/check.js'
import { channels, exchange } from '../lib/exchange.js'
import { Network, SERVER, internet } from '../lib/network.js'
import { Page, launch } from '../lib/page.js'
import { meet, serverOf } from '../lib/presence.js'
import { Server } from '../lib/server.js'
import { kind } from '../lib/stage.js'

const password = 'geheim'
const networks = []
const browsers = []
let server, site

before(async () => {
  internet()
  networks.push(new Network('neta', '198.51.100'), new Network('netb', '203.0.113'))
  server = await Server.configured('turn', caddyfile)
  site = `http://${SERVER}:${server.port}`
  for (const { chromium } of networks) browsers.push(await launch({ executable: chromium, secure: [site] }))
  await server.start()
})

after(async () => {
  for (const browser of browsers) await browser.close()
  await server?.close()
  for (const network of networks) network.close()
})

test('pages that cannot reach each other', async t => {
  await check(t, 'without TURN they do not meet', async () => {
    const pages = await join('none', false)
    for (const page of pages) await serverOf(page)
    await sleep(5000)
    for (const [i, page] of pages.entries()) assert.ok(!(await page.peers()).includes(pages[1 - i].id))
    for (const page of pages) await page.close()
  })
  await talk(t, 'udp')
  for (const network of networks) network.blockUDP()
  await talk(t, 'tcp')
})

/** talk has a page in each network meet the other by TURN, to which one at least goes by the protocol. */
async function talk(t, protocol) {
  const pages = await check(t, `with TURN by ${protocol} they meet`, async () => {
    const pages = await join(protocol, true)
    await meet(pages, 40_000)
    for (const page of pages) await serverOf(page)
    return pages
  })
  await check(t, `they are linked by ${protocol}`, async () => {
    const used = []
    for (const page of pages) used.push(...(await page.tab.evaluate(usedRelays)))
    assert.ok(used.length > 0 && used.every(one => one === protocol), `relays by ${used}`)
    // Without UDP each page is linked with the other and with the server's peer by its own relay, in both rooms.
    if (protocol === 'tcp') assert.ok(used.length >= 4, `relays by ${used}`)
  })
  await exchange(t, pages)
  for (const page of pages) await page.close()
}

/** join opens a page in each network. */
async function join(label, turn) {
  const pages = []
  for (const [i, browser] of browsers.entries()) {
    const page = await Page.open(browser, site, `${label} ${i}`, kind)
    await page.tab.evaluate(noteConnections)
    const turnConfig = turn ? await page.tab.evaluate(iceServers, password) : undefined
    await page.join('demo', { rtc: { relayUrls: [`ws://${SERVER}:${server.port}/genosrtc/relay`], turnConfig }, password }, channels)
    pages.push(page)
  }
  return pages
}

async function iceServers(password) {
  const response = await fetch('/genosrtc/ice?room=demo', { headers: { Authorization: `Basic ${btoa(`:${password}`)}` } })
  if (!response.ok) throw new Error(`${response.status}`)
  return response.json()
}

/** noteConnections keeps all connections that the page makes. */
function noteConnections() {
  window.connections = []
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...args) {
      super(...args)
      window.connections.push(this)
    }
  }
}

/** usedRelays lists for each connection that goes through a relay of this page by which protocol it reaches that. */
async function usedRelays() {
  const used = []
  for (const connection of window.connections) {
    if (connection.connectionState !== 'connected') continue
    const stats = await connection.getStats()
    for (const { type, selectedCandidatePairId } of stats.values()) {
      if (type !== 'transport' || !selectedCandidatePairId) continue
      const local = stats.get(stats.get(selectedCandidatePairId).localCandidateId)
      if (local.candidateType === 'relay') used.push(local.relayProtocol)
    }
  }
  return used
}

function caddyfile({ port }) {
  const root = path.resolve(import.meta.dirname, '..')
  return `{
	admin off
	persist_config off
	auto_https off
	genosrtc {
		udp ${SERVER}:${port + 1000}
		turn {
			secret 0123456789abcdef
			ports 20000-20999
		}
	}
}
http://:${port} {
	genosrtc {
		room demo {
			password ${password}
		}
	}
	handle_path /dist/* {
		root ${process.env.GENOSDB_DIST ?? root}
		file_server
	}
	root ${root}
	file_server
}
`
}
