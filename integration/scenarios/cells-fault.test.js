// The bridge of cell 0 dies, and its cell goes on talking. GenosDB's other bridges do not pass that
// into their own cells (docs/protocol.md, "Cells"): between two cells nothing gets across until the
// next seal, unless a peer of ours is the other bridge.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Topology, hash } from '../browser/topology.js'
import { agree, openAs, shape } from '../lib/cells.js'
import { check } from '../lib/check.js'
import { servers } from '../lib/presence.js'
import { kind, ownRelay, stage } from '../lib/stage.js'
import { until } from '../lib/until.js'
import { fingerprint } from '../pages/value.js'

const PAGES = kind === 'genosdb' ? 12 : 6
const SIZE = { without: PAGES / 2, with: PAGES / 2 + 1 } // two cells, also with a session and the server
const EACH = 10
const ARRIVES = 5_000
const here = stage('cells-fault', { rooms: { with: { cells: `on ${SIZE.with}` } } })

const relay = ownRelay()

test(`${PAGES} pages in two cells, the bridge of cell 0 is killed`, async t => {
  const without = await check(t, 'without our server', () => staged(t, 'without', []))
  const session = await inCellOne()
  const [server] = await until('the session sees the server', async () => {
    const found = await servers(session)
    return found.length > 0 && found
  })
  const hosted = await check(t, 'with a hosted peer as bridge of cell 1', () => staged(t, 'with', [session.id, server]))
  t.diagnostic(`lost without our server: ${without}; with a hosted peer as bridge: ${hosted}`)
  assert.ok(without > 0, 'the fault was not there')
  assert.equal(hosted, 0)
  await session.leave()
})

// staged resolves with how many messages from cell 0 to pages of cell 1 were lost.
async function staged(t, room, hosted) {
  const ids = layout(hosted, SIZE[room])
  const pages = await Promise.all(ids.map((id, n) => openAs(here, id, `page ${n + 1}`)))
  const cells = { cellSize: SIZE[room] }
  await Promise.all(pages.map(page => page.join(room, { rtc: { relayUrls: [hosted.length ? here.server.relay : relay.url], cells } }, ['chat'])))
  assert.deepEqual(pages.map(({ id }) => id), ids)
  const topology = await agree(pages, SIZE[room], { silent: hosted.length })
  const [bridge] = pages.filter(({ id }) => topology.isBridge(id) && topology.cellOf(id) === 0)
  const senders = pages.filter(page => page !== bridge && topology.cellOf(page.id) === 0)
  const receivers = pages.filter(({ id }) => topology.cellOf(id) === 1)
  await bridge.crash()
  for (let n = 0; n < EACH; n++) for (const page of senders) await page.send('chat', { value: `after the crash: ${n}` })
  await sleep(ARRIVES)
  const due = EACH * senders.length * receivers.length
  let came = 0
  for (const page of receivers) {
    came += (await page.messages()).filter(({ data }) => data.startsWith(fingerprint('after the crash'))).length
  }
  t.diagnostic(`${room}: ${shape(topology)} peers, ${due - came} of ${due} messages from cell 0 to pages of cell 1 were lost`)
  for (const page of pages) if (page !== bridge) await page.close()
  return due - came
}

// Of two cells, a peer's own is known by its id.
async function inCellOne() {
  for (;;) {
    const session = await here.client('with', 'json', { label: 'session' })
    if (hash(`${session.id}:1`) > hash(`${session.id}:0`)) return session
    await session.leave()
  }
}

// layout returns ids of pages that make two cells, of which the first has a page as bridge, and the
// second a hosted peer, where there is one.
function layout(hosted, size) {
  for (;;) {
    const ids = Array.from({ length: PAGES }, () => Math.random().toString(36).slice(2, 12).padEnd(20, 'x'))
    const topology = new Topology([...ids, ...hosted], size)
    const [first, second] = topology.cells.map(members => members.filter(id => ids.includes(id)))
    const bridge = cell => topology.cells[cell].find(topology.isBridge)
    const ours = hosted.length === 0 || hosted.includes(bridge(1))
    if (first.length >= 3 && second.length >= 3 && ids.includes(bridge(0)) && ours) return ids
  }
}
