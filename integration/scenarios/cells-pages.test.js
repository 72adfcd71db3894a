// A room with cells and no server in it: the pages alone, through a relay of the test's own.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { check } from '../lib/check.js'
import { Tally, agree, shape } from '../lib/cells.js'
import { others } from '../lib/presence.js'
import { kind, pagesAlone } from '../lib/stage.js'

const here = pagesAlone()

const PAGES = 6
const cells = { cellSize: 2 }

test(`${PAGES} pages, two to a cell, of both kinds`, async t => {
  const pages = await Promise.all(Array.from({ length: PAGES }, (_, n) => (n % 2 ? kind : 'peer')).map((pageKind, n) => here.open(`${pageKind} ${n}`, pageKind)))
  await Promise.all(pages.map(page => page.join('cells', { rtc: { relayUrls: [here.relay.url], cells } }, ['chat'])))
  const topology = await check(t, 'they agree on one topology, and keep the links of their places', () => agree(pages, cells.cellSize))
  t.diagnostic(shape(topology))
  const tally = new Tally(pages)
  await check(t, 'broadcasts reach all others once', () => tally.broadcast(5))
  await check(t, 'so does what the mesh itself is told', () => Tally.ofMesh(pages).broadcast(1))
  await check(t, 'directed messages arrive at their targets only', () => tally.directed())
  await check(t, 'pings are answered, but for those whose answers GenosDB loses', () =>
    Promise.all(pages.flatMap(page => others(pages, page).map(async other => {
      const answered = await page.meshPing(other.id).then(() => true, () => false)
      assert.equal(answered, !losesPong(topology, page.id, other.id), `${page.label} pings ${other.label}`)
    }))))
  for (const page of pages) await page.close()
})

// The answer takes the short way, on the channel of a cell that the asker does not listen to.
const losesPong = (topology, asker, target) =>
  topology.links(asker).includes(target) &&
  topology.cellOf(target) !== 0 &&
  topology.cellOf(target) !== topology.cellOf(asker) &&
  !topology.isBridge(asker)
