// An empty room with cells that all enter at once: that the server is in it, with its memory, is to
// cost no more than one more page would (docs/protocol.md, "Cells": every answer goes to everybody,
// by every bridge).

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { agree, fill, shape } from '../lib/cells.js'
import { check } from '../lib/check.js'
import { converge, has } from '../lib/graph.js'
import { startRelay } from '../lib/relay.js'
import { kind, stage } from '../lib/stage.js'

const PAGES = kind === 'genosdb' ? 14 : 6
const cells = { cellSize: 2 }
const AT_MOST = 1.1
const QUIET = 6_000
const memory = { memory: true, cells: `on ${cells.cellSize}` }
const here = stage('memory-cells', { rooms: { 'server-1': memory, 'server-2': memory, data: memory } })
// How many links open before the first seal, whose syncs reach nobody, differs from time to time.
const TURNS = kind === 'genosdb' ? ['page-1', 'server-1', 'server-2', 'page-2'] : ['page-1', 'server-1']

// The server's relay carries its own rooms only.
let relay
before(async () => (relay = await startRelay()))
after(() => relay?.close())

test(`${PAGES} pages join an empty room`, async t => {
  const frames = { page: 0, server: 0 }
  for (const turn of TURNS) {
    const [other] = turn.split('-')
    await check(t, `with another: ${turn}`, async () => {
      frames[other] += await join(t, turn, other === 'page' ? PAGES + 1 : PAGES)
    })
  }
  const times = frames.server / frames.page
  t.diagnostic(`${frames.server} frames with the server, ${frames.page} with a page: ${times.toFixed(2)} times`)
  assert.ok(times <= AT_MOST)
})

test('what pages in cells wrote is there when they and the server are gone', async t => {
  const count = kind === 'genosdb' ? 7 : 5
  let pages = await fill(here, 'data', count, { cells })
  await agree(pages, cells.cellSize, { silent: 1, links: false })
  let nodes
  await check(t, `${count} pages write, link and remove`, async () => {
    for (const [n, page] of pages.entries()) {
      for (let i = 0; i < 5; i++) await page.put(`node ${n} ${i}`, { n, i })
    }
    await converge(pages, nodes => nodes.length === 5 * count, 60_000)
    for (const [n, page] of pages.entries()) await page.link(`node ${n} 0`, `node ${(n + 1) % count} 0`)
    await pages[1].remove('node 2 3')
    nodes = await converge(pages, nodes => nodes.length === 5 * count - 1 && nodes.filter(({ edges }) => edges.length).length === count, 60_000)
  })
  for (const page of pages) await page.close()
  await here.server.kill()
  await here.server.start()
  await check(t, 'new pages have all of it', async () => {
    pages = await fill(here, 'data', count, { label: 'new page', cells })
    for (const page of pages) await has(page, nodes, 120_000)
  })
  for (const page of pages) await page.close()
})

// join resolves with the frames of the sync room that the first PAGES pages sent and were sent.
async function join(t, room, count) {
  const pages = []
  for (let n = 1; n <= count; n++) {
    const page = await here.open(`page ${n}`)
    await page.tab.addInitScript({ path: new URL('../pages/frames.js', import.meta.url).pathname })
    await page.tab.reload()
    await page.tab.waitForFunction(() => window.ask)
    pages.push(page)
  }
  await Promise.all(pages.map(page => page.join(room, { rtc: { relayUrls: [room.startsWith('server') ? here.server.relay : relay.url], cells } })))
  const topology = await agree(pages, cells.cellSize, { silent: room.startsWith('server') ? 1 : 0, links: false })
  await pages[0].put('node', { of: room })
  await converge(pages, nodes => nodes.length === 1, 60_000)
  const frames = await settled(pages.slice(0, PAGES))
  t.diagnostic(`${topology.roster.length} peers in cells of ${shape(topology)}: ${frames} frames`)
  for (const page of pages) await page.close()
  return frames
}

// What nobody speaks in the app room, all mesh frames are the sync room's.
async function settled(pages) {
  for (let before = -1; ; ) {
    const counts = await Promise.all(pages.map(page => page.tab.evaluate(() => window.frameCounts)))
    const frames = counts
      .flatMap(Object.entries)
      .filter(([name]) => name === 'syncGraph' || /^c\d+$/.test(name))
      .reduce((sum, [, n]) => sum + n, 0)
    if (frames === before) return frames
    before = frames
    await sleep(QUIET)
  }
}
