// A browser's own EventSource and fetch take part in a room, beside a page of the mesh: no library.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { check } from '../lib/check.js'
import { Page } from '../lib/page.js'
import { stage } from '../lib/stage.js'
import { until } from '../lib/until.js'

const here = stage('events')

test('EventSource and POST', async t => {
  const page = await here.page('demo', { label: 'page', channels: ['chat'] })
  const reader = await Page.open(here.browser, here.server.url, 'reader', 'client')
  await reader.tab.evaluate(() => {
    window.heard = []
    window.welcomes = []
    const source = new EventSource('/genosrtc/rooms/demo/events?channel=chat')
    source.addEventListener('welcome', ({ data, lastEventId }) => window.welcomes.push({ ...JSON.parse(data), lastEventId }))
    source.onmessage = ({ data, lastEventId }) => window.heard.push({ ...JSON.parse(data), lastEventId })
    window.post = body =>
      fetch('/genosrtc/rooms/demo/channels/chat', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body }).then(r => r.status)
  })
  const heard = async () => (await reader.tab.evaluate(() => window.heard)).map(({ data }) => data)
  const welcomes = () => reader.tab.evaluate(() => window.welcomes)
  await until('the reader is welcome', async () => (await welcomes()).length === 1)
  const server = (await welcomes())[0].peers.find(({ type }) => type === 'superpeer').peer
  await until('the page is linked with the server', async () => (await page.peers()).includes(server))

  await check(t, 'the reader hears the page, once', async () => {
    await page.send('chat', { value: { text: 'from a page' } })
    await until('it is heard', async () => (await heard()).length > 0)
    const [message] = await reader.tab.evaluate(() => window.heard)
    assert.equal(message.from, page.id)
    assert.equal(message.lastEventId, String(message.seq))
  })
  await check(t, 'both hear a POST', async () => {
    assert.equal(await reader.tab.evaluate(() => window.post('"by POST"')), 202)
    await until('the reader hears it', async () => (await heard()).includes('by POST'))
    await until('the page hears it', async () => (await page.messages()).some(({ from }) => from === server))
  })
  await check(t, 'after kill -9 the reader comes back by itself and misses nothing', async () => {
    const answers = await reader.tab.evaluate(() => Promise.all(['"1"', '"2"', '"3"'].map(window.post)))
    assert.deepEqual(answers, [202, 202, 202])
    await here.server.kill()
    await here.server.start()
    await until('it is back', async () => (await welcomes()).length === 2)
    assert.equal((await welcomes())[1].resumed, true)
    assert.equal(await reader.tab.evaluate(() => window.post('"last"')), 202)
    await until('it hears the last', async () => (await heard()).includes('last'))
    await sleep(500) // whatever would come twice
    const list = await heard()
    assert.deepEqual([...list].sort(), [...new Set(list)].sort())
    assert.deepEqual(list.slice(2).sort(), ['1', '2', '3', 'last'])
  })
  await reader.close()
  await page.close()
})
