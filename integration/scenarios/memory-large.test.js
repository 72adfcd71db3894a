// A room with many nodes: they reach a page that begins with nothing, also one that is reloaded on the way.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { check } from '../lib/check.js'
import { Graph, digested } from '../lib/graph.js'
import { kind, stage } from '../lib/stage.js'
import { until } from '../lib/until.js'
import { wireBytes } from '../lib/wire.js'
import { compared, digest, made } from '../pages/graph.js'

const NODES = kind === 'genosdb' ? 50_000 : 12_000
const here = stage('memory-large', { rooms: { large: { memory: true } } })
const nodes = Array.from({ length: NODES }, (_, n) => made(n))
const all = digest(compared(nodes))
const MB = 1 << 20

test(`${NODES} nodes`, async t => {
  await check(t, 'a page writes them', async () => {
    const writer = await here.open('writer', 'peer')
    await writer.join('large', { rtc: { relayUrls: [here.server.relay] } })
    await until('it is connected', async () => (await writer.peers()).length > 0)
    await writer.ask('fill', 0, NODES)
    const graph = new Graph(here.server, 'large')
    const { id, edges } = nodes.findLast(({ edges }) => edges.length)
    await until('the server has the last', async () => {
      const node = await graph.get(id)
      return node?.edges.length === edges.length && (await graph.get(nodes.at(-1).id))
    }, 120_000)
    await writer.close()
  })
  await here.server.kill()
  const down = performance.now()
  await here.server.start()
  t.diagnostic(`the server is back after ${Math.round(performance.now() - down)} ms`)

  await check(t, 'a new page has all of them', async () => {
    const page = await here.open('late')
    const before = await wireBytes()
    const start = performance.now()
    await page.join('large', { rtc: { relayUrls: [here.server.relay] } })
    await digested(page, all, 240_000)
    const took = (performance.now() - start) / 1000
    const bytes = (await wireBytes()) - before
    const json = JSON.stringify(nodes).length
    t.diagnostic(`${took.toFixed(1)} s, ${(bytes / MB).toFixed(1)} MiB on the wire for ${(json / MB).toFixed(1)} MiB of nodes`)
    await page.close()
  })
  await check(t, 'a page that is reloaded on the way has them too', async () => {
    const page = await here.open('reloaded')
    await page.join('large', { rtc: { relayUrls: [here.server.relay] } })
    const some = await until('it has some', () => page.count(), 240_000)
    t.diagnostic(`reloaded with ${some} nodes`)
    assert.ok(some < NODES, 'all came at once: this tells nothing')
    await page.reload()
    await digested(page, all, 240_000)
    await page.close()
  })
})
