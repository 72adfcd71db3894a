// A room with memory: what its pages wrote is there when they are gone, and what was removed is not.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { check } from '../lib/check.js'
import { Graph, converge, has } from '../lib/graph.js'
import { meet, serverOf } from '../lib/presence.js'
import { stage } from '../lib/stage.js'
import { until } from '../lib/until.js'

const rooms = Object.fromEntries(['killed', 'http', 'apart', 'stale'].map(name => [name, { memory: true }]))
const here = stage('memory', { rooms })
const nowhere = ['ws://localhost:9/']
// GenosDB writes to the disk of the browser 200 ms after a change, and tells nobody when it has.
const saved = () => sleep(1_000)

async function company(room, labels) {
  const pages = []
  for (const label of labels) pages.push(await here.page(room, { label }))
  await meet(pages)
  for (const page of pages) await serverOf(page)
  return pages
}

test('all pages leave, and the server is killed at once', async t => {
  const [a, b] = await company('killed', ['a', 'b'])
  let nodes
  await check(t, 'two pages write, link and remove, and see it of each other', async () => {
    for (let n = 0; n < 40; n++) {
      const [one, other] = n % 2 ? [a, b] : [b, a]
      await one.put(`node ${n}`, { n, by: one.label, text: 'ä'.repeat(n) })
      if (n > 1) await one.link(`node ${n}`, `node ${n - 2}`)
      if (n % 10 !== 9) continue
      await converge([a, b], nodes => nodes.some(({ id }) => id === `node ${n}`))
      await other.remove(`node ${n - 4}`)
    }
    await a.put('node 8', { n: 8, by: a.label, again: true })
    await a.link('node 8', 'node 39')
    nodes = await converge([a, b], nodes => nodes.length === 36 && nodes.find(({ id }) => id === 'node 8').edges.length === 2)
    assert.ok(nodes.filter(({ edges }) => edges.length).length > 20)
  })
  await Promise.all([a.close(), b.close()])
  await here.server.kill()
  await here.server.start()
  await check(t, 'a new page has all of it', async () => {
    const late = await here.page('killed', { label: 'late' })
    await has(late, nodes)
    await late.close()
  })
})

test('what HTTP was told is there after kill -9', async t => {
  const graph = new Graph(here.server, 'http')
  for (let n = 0; n < 20; n++) await graph.put(`sensor-${n}`, { n })
  await graph.remove('sensor-3')
  await here.server.kill()
  await here.server.start()
  const page = await here.page('http')
  const rest = Array.from({ length: 20 }, (_, n) => ({ id: `sensor-${n}`, value: { n }, edges: [] })).filter(({ value }) => value.n !== 3)
  await check(t, 'a new page has it', () => has(page, rest.sort((x, y) => (x.id < y.id ? -1 : 1))))
  await page.close()
})

test('three pages and the server diverge while apart, and converge', async t => {
  const graph = new Graph(here.server, 'apart')
  const pages = await company('apart', ['a', 'b', 'c'])
  await check(t, 'they begin with the same', async () => {
    for (let n = 0; n < 9; n++) await pages[n % 3].put(`shared ${n}`, { n })
    await converge(pages, nodes => nodes.length === 9)
  })
  await check(t, 'apart, each writes, changes, links and removes', async () => {
    await saved()
    for (const page of pages) await page.reopen(nowhere)
    for (const [i, page] of pages.entries()) {
      await page.put(`of ${page.label}`, { by: page.label })
      await page.put(`more of ${page.label}`, { by: page.label })
      await page.link(`of ${page.label}`, `more of ${page.label}`)
      await page.link(`of ${page.label}`, 'shared 8')
      await page.remove(`shared ${i}`)
      await page.put('shared 7', { by: page.label })
    }
    await graph.put('of the server', { by: 'HTTP' })
    await graph.put('shared 7', { by: 'HTTP, last' })
    await graph.remove('shared 3')
  })
  await check(t, 'together again, all have the same: all that was written, nothing that was removed', async () => {
    await saved()
    for (const page of pages) await page.reopen([here.server.relay])
    const nodes = await converge(pages, nodes => nodes.length === 9 + 6 + 1 - 4, 40_000)
    assert.deepEqual(nodes.map(({ id }) => id).filter(id => id.startsWith('shared')), ['shared 4', 'shared 5', 'shared 6', 'shared 7', 'shared 8'])
    assert.deepEqual(nodes.find(({ id }) => id === 'shared 7').value, { by: 'HTTP, last' })
    for (const { label } of pages) assert.deepEqual(nodes.find(({ id }) => id === `of ${label}`).edges, [`more of ${label}`, 'shared 8'])
    // Pages tell each other as well, and may be the first.
    for (const { id, value } of nodes) {
      await until(`the server has ${id}`, async () => isDeepStrictEqual((await graph.get(id))?.value, value))
    }
    assert.equal(await graph.get('shared 3'), null)
  })
  for (const page of pages) await page.close()
})

test('a stale page returns', async t => {
  const graph = new Graph(here.server, 'stale')
  const pages = await company('stale', ['a', 'b', 'stale'])
  const [a, b, stale] = pages
  await check(t, 'three pages have ten nodes', async () => {
    for (let n = 0; n < 10; n++) await a.put(`old ${n}`, { n })
    await a.link('old 1', 'old 2')
    await converge(pages, nodes => nodes.length === 10 && nodes[1].edges.length === 1)
    await saved()
    await stale.reopen(nowhere)
  })
  await check(t, 'without one of them, the others remove three, and forget it after many other operations', async () => {
    for (const n of [2, 3, 4]) await (n % 2 ? a : b).remove(`old ${n}`)
    await a.ask('fill', 0, 250)
    await converge([a, b], nodes => nodes.length === 7 + 250)
  })
  await check(t, 'it returns with the old nodes, and they are gone everywhere', async () => {
    assert.equal((await stale.nodes()).length, 10)
    await stale.reopen([here.server.relay])
    await converge(pages, nodes => nodes.length === 7 + 250, 40_000)
    await sleep(2_000) // nobody brings them back
    const nodes = await converge(pages, nodes => nodes.length === 7 + 250)
    assert.deepEqual(nodes.filter(({ id }) => id.startsWith('old')).map(({ value }) => value.n), [0, 1, 5, 6, 7, 8, 9])
    for (const n of [2, 3, 4]) assert.equal(await graph.get(`old ${n}`), null)
  })
  for (const page of pages) await page.close()
})
