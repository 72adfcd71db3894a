// The JavaScript client, in Chromium: it has the calls of db.room, so it takes part like any page.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { check } from '../lib/check.js'
import { channels, exchange } from '../lib/exchange.js'
import { Page } from '../lib/page.js'
import { meet } from '../lib/presence.js'
import { stage } from '../lib/stage.js'

const here = stage('client')

for (const protocol of ['msgpack', 'json']) {
  test(`client.js, ${protocol}, and a page`, async t => {
    const page = await here.page('demo', { label: 'page', channels })
    const client = await Page.open(here.browser, here.server.url, 'client.js', 'client')
    await client.join('demo', { protocol }, channels)
    await check(t, 'they join each other', () => meet([page, client]))
    await check(t, 'the page sees it as a session', async () => {
      const { type } = (await page.events()).find(({ event, peer }) => event === 'join' && peer === client.id)
      assert.equal(type, 'session')
    })
    await exchange(t, [page, client])
    await check(t, 'pings are answered', async () => {
      await page.ping(client.id)
      await client.ping(page.id)
    })
    await client.close()
    await page.close()
  })
}
