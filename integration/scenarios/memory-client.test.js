// The graph by GenosDB's calls: of a page that has a graph of its own, and of client.js, which asks the server.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { check } from '../lib/check.js'
import { Page } from '../lib/page.js'
import { serverOf } from '../lib/presence.js'
import { stage } from '../lib/stage.js'
import { until } from '../lib/until.js'

const here = stage('memory-client', { rooms: { demo: { memory: true, password: 'secret' } } })

test('a page and client.js write and read one graph', async t => {
  const password = 'secret'
  const page = await here.page('demo', { password })
  await serverOf(page)
  const client = await Page.open(here.browser, here.server.url, 'client.js', 'client')
  await client.join('demo', { password }, [])
  const both = [page, client]
  await page.put('first', { of: 'the page' })
  await until('the client sees it', async () => (await client.get('first'))?.value.of === 'the page')
  for (const one of both) await one.ask('watch')

  for (const [writer, reader] of [both, both.toReversed()]) {
    const id = `of ${writer.label}`
    await check(t, `what ${writer.label} puts, links and removes is told to ${reader.label}`, async () => {
      await writer.put(id, { n: 1 })
      await told(reader, id, 'added')
      await writer.put(id, { n: 2 })
      await told(reader, id, 'updated')
      await writer.link(id, 'first')
      await until('the edge is there', async () => (await reader.get(id))?.edges.includes('first'))
      await writer.remove(id)
      await told(reader, id, 'removed')
    })
  }
  await check(t, 'both have the same nodes', async () => {
    for (let n = 0; n < 20; n++) await both[n % 2].put(`n${n}`, { n })
    await until('they are equal', async () => (await page.digest()).sha256 === (await client.digest()).sha256)
    assert.equal(await client.count(), 21)
  })
  for (const one of both) await one.close()
})

const told = (reader, id, action) =>
  until(`${reader.label} is told that ${id} is ${action}`, async () =>
    (await reader.ask('log', 'changes')).some(change => change.id === id && change.action === action))
