// The test's own peer, before it judges others: it talks with its like, and with GenosDB where that
// is given, through a relay of its own.

import { after, before, test } from 'node:test'
import { check } from '../lib/check.js'
import { channels, exchange } from '../lib/exchange.js'
import { Page, launch } from '../lib/page.js'
import { meet } from '../lib/presence.js'
import { startRelay } from '../lib/relay.js'
import { kind } from '../lib/stage.js'
import { serve } from '../lib/static.js'

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

for (const password of [undefined, 's3cret']) {
  test(`two pages, ${password ? 'with' : 'without'} a password`, async t => {
    const pages = []
    for (const pageKind of ['peer', kind]) {
      const page = await Page.open(browser, site.url, `${pageKind} ${pages.length + 1}`, pageKind)
      await page.join('pages', { rtc: { relayUrls: [relay.url] }, password }, channels)
      pages.push(page)
    }
    await check(t, 'they join each other', () => meet(pages))
    await exchange(t, pages)
    await check(t, 'pings are answered', async () => {
      await pages[0].ping(pages[1].id)
      await pages[1].ping(pages[0].id)
    })
    for (const page of pages) await page.close()
  })
}
