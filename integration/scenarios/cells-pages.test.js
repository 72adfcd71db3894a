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
  const pages = []
  for (let n = 0; n < PAGES; n++) {
    const pageKind = n % 2 ? kind : 'peer'
    const page = await Page.open(browser, site.url, `${pageKind} ${n}`, pageKind)
    await page.join('cells', { rtc: { relayUrls: [relay.url], cells } }, ['chat'])
    pages.push(page)
  }
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
  await check(t, 'pings are answered, whatever the cell', async () => {
    for (const page of pages.slice(1)) assert.ok((await page.meshPing(pages[0].id)) >= 0)
  })
  for (const page of pages) await page.close()
})
