// A room with cells and no server in it: the pages alone, through a relay of the test's own.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { check } from '../lib/check.js'
import { Tally, agree, shape } from '../lib/cells.js'
import { Page, launch } from '../lib/page.js'
import { others } from '../lib/presence.js'
import { startRelay } from '../lib/relay.js'
import { kind } from '../lib/stage.js'
import { serve } from '../lib/static.js'
import { until } from '../lib/until.js'
import { fingerprint } from '../pages/value.js'

let relay, site, browser
before(async () => {
  relay = await startRelay()
  site = await serve()
  browser = await launch()
})
after(async () => {
  await browser?.close()
  site?.close()
  relay?.close()
})

const PAGES = 6
const cells = { cellSize: 2 }
const byFrom = (a, b) => (a.from < b.from ? -1 : 1)

test(`${PAGES} pages, two to a cell, of both kinds`, async t => {
  const open = n => {
    const pageKind = n % 2 ? kind : 'peer'
    return Page.open(browser, site.url, `${pageKind} ${n}`, pageKind)
  }
  const pages = await Promise.all(Array.from({ length: PAGES }, (_, n) => open(n)))
  await Promise.all(pages.map(page => page.join('cells', { rtc: { relayUrls: [relay.url], cells } }, ['chat'])))
  const topology = await check(t, 'they agree on one topology, and keep the links of their places', () => agree(pages, cells.cellSize))
  t.diagnostic(shape(topology))
  const tally = new Tally(pages)
  await check(t, 'broadcasts reach all others once', () => tally.broadcast(5))
  await check(t, 'so does what the mesh itself is told', async () => {
    for (const page of pages) await page.meshSend({ value: `mesh of ${page.label}` })
    for (const page of pages) {
      const due = others(pages, page).map(({ id, label }) => ({ from: id, data: fingerprint(`mesh of ${label}`) }))
      const told = async () => (await page.meshMessages()).filter(({ data }) => data.startsWith('string mesh of'))
      await until(`${page.label} was told by all`, async () => (await told()).length >= due.length)
      assert.deepEqual((await told()).toSorted(byFrom), due.toSorted(byFrom))
    }
  })
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
