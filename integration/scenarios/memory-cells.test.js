// An empty room with cells that all enter at once: that the server is in it, with its memory, is to
// cost no more than one more page would (docs/protocol.md, "Cells": every answer goes to everybody,
// by every bridge).

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { agree, fill, openAs, shape } from '../lib/cells.js'
import { check } from '../lib/check.js'
import { converge, has } from '../lib/graph.js'
import { kind, ownRelay, stage } from '../lib/stage.js'

const PAGES = 14
const cells = { cellSize: 2 }
const AT_MOST = 1.1
const ROUNDS = 3 // it depends much on who is first
const QUIET = 6_000
const counter = new URL('../pages/frames.js', import.meta.url).pathname
const memory = { memory: true, cells: `on ${cells.cellSize}` }
const rooms = Array.from({ length: ROUNDS }, (_, n) => [`server${n + 1}`, memory])
const here = stage('memory-cells', { rooms: { data: memory, ...Object.fromEntries(rooms) } })

const relay = ownRelay()

// Only GenosDB's own pages show what they cause.
if (kind === 'genosdb') {
  test(`${PAGES} pages join an empty room`, async t => {
    const totals = { server: 0, page: 0 }
    for (let round = 1; round <= ROUNDS; round++) {
      const ids = Array.from({ length: PAGES }, () => Math.random().toString(36).slice(2, 12).padEnd(20, 'x'))
      const [server, roster] = await check(t, `with the server, ${round}`, () => join(t, `server${round}`, ids))
      // In the server's place, so that the cells are the same.
      const another = roster.find(id => !ids.includes(id))
      const [page] = await check(t, `with another page, ${round}`, () => join(t, `page${round}`, [...ids, another]))
      totals.server += server
      totals.page += page
    }
    const times = totals.server / totals.page
    t.diagnostic(`${totals.server} frames with the server, ${totals.page} with a page: ${times.toFixed(2)} times`)
    assert.ok(times <= AT_MOST)
  })
}

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

// join resolves with the frames of the sync room that the first PAGES pages sent and were sent, and
// with who was there.
async function join(t, room, ids) {
  const served = room.startsWith('server')
  const pages = []
  for (const id of ids) pages.push(await openAs(here, id, `page ${pages.length + 1}`, counter))
  const relayUrls = [served ? here.server.relay : relay.url]
  await Promise.all(pages.map(page => page.join(room, { rtc: { relayUrls, cells } })))
  const topology = await agree(pages, cells.cellSize, { silent: served ? 1 : 0, links: false })
  await pages[0].put('node', { of: room })
  await converge(pages, nodes => nodes.length === 1, 60_000)
  const frames = await settled(pages.slice(0, PAGES))
  t.diagnostic(`${topology.roster.length} peers in cells of ${shape(topology)}: ${frames} frames`)
  for (const page of pages) await page.close()
  return [frames, topology.roster]
}

// As nobody speaks in the app room, all mesh frames are the sync room's.
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
