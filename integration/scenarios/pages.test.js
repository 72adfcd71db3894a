// The test's own peer, before it judges others: it talks with its like, and with GenosDB where that
// is given, through a relay of its own.

import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { check } from '../lib/check.js'
import { channels, exchange } from '../lib/exchange.js'
import { converge } from '../lib/graph.js'
import { meet } from '../lib/presence.js'
import { kind, pagesAlone } from '../lib/stage.js'
import { until } from '../lib/until.js'

const here = pagesAlone()

for (const password of [undefined, 's3cret']) {
  test(`two pages, ${password ? 'with' : 'without'} a password`, async t => {
    const pages = []
    for (const pageKind of ['peer', kind]) {
      const page = await here.open(`${pageKind} ${pages.length + 1}`, pageKind)
      await page.join('pages', { rtc: { relayUrls: [here.relay.url] }, password }, channels)
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

test('two databases', async t => {
  const join = async (pageKind, label) => {
    const page = await here.open(label, pageKind)
    await page.join('graph', { rtc: { relayUrls: [here.relay.url] } })
    return page
  }
  const first = await join(kind, 'first')
  await check(t, 'a page that joins gets what is there, in a full state', async () => {
    for (const n of [1, 2, 3]) await first.put(`node ${n}`, { n, nothing: null, text: 'ä'.repeat(200 * n) })
    await first.link('node 1', 'node 2')
    await first.remove('node 3')
  })
  const second = await join('peer', 'second')
  const pages = [first, second]
  await check(t, 'they have the same', () => converge(pages, nodes => nodes.length === 2 && nodes[0].edges[0] === 'node 2'))
  await check(t, 'each hears of what the other does', async () => {
    for (const page of pages) await page.ask('watch')
    await second.put('node 1', { n: 'changed' })
    await second.link('node 2', 'node 1')
    await first.put('node 4', [4])
    await converge(pages, nodes => nodes.length === 3)
    await second.remove('node 4')
    await converge(pages, nodes => nodes.length === 2 && nodes[0].value.n === 'changed')
    for (const page of pages) {
      await until(`${page.label} was told`, async () => {
        const told = (await page.ask('log', 'changes')).map(({ action, id }) => `${action} ${id}`)
        return ['initial node 1', 'updated node 1', 'added node 4', 'removed node 4'].every(change => told.includes(change))
      })
    }
  })
  await check(t, 'a page that was away gets what it missed, and has what it had', async () => {
    await sleep(1_000) // GenosDB saves a moment later
    await second.reopen(['ws://localhost:9/'])
    await second.put('alone', true)
    await first.put('meanwhile', true)
    await sleep(1_000)
    await second.reopen([here.relay.url])
    await converge(pages, nodes => nodes.length === 4, 30_000)
  })
  for (const page of pages) await page.close()
})
