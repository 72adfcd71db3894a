// client.js over WebRTC: what it does over a WebSocket, and moving between the two.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { check } from '../lib/check.js'
import { channels, exchange } from '../lib/exchange.js'
import { blockUDP, openUDP } from '../lib/firewall.js'
import { Page } from '../lib/page.js'
import { meet, told } from '../lib/presence.js'
import { settle } from '../lib/settle.js'
import { stage } from '../lib/stage.js'
import { until } from '../lib/until.js'
import { fingerprint, make } from '../pages/value.js'

const here = stage('webrtc')

async function join(label, options, names = ['file']) {
  const client = await Page.open(here.browser, here.server.url, label, 'client')
  await client.join('demo', options, names)
  return client
}

const over = (client, transport, timeout) =>
  until(`${client.label} goes over ${transport}`, async () => (await client.ask('state')).transport === transport, timeout)

test('client.js over WebRTC, and a page', async t => {
  const page = await here.page('demo', { label: 'page', channels })
  const client = await join('client.js', { transport: 'webrtc' }, channels)
  await check(t, 'they join each other', () => meet([page, client]))
  await exchange(t, [page, client])
  await check(t, 'pings are answered', async () => {
    await page.ping(client.id)
    await client.ping(page.id)
  })
  await over(client, 'webrtc')
  await client.tab.goto('about:blank')
  await check(t, 'when the page goes, it leaves', () => told(page, 'leave', client.id, { timeout: 3000 }))
  await page.close()
})

test('UDP is blocked, and opened again', async t => {
  const [one, other] = [await join('one', { transport: 'auto' }), await join('other', { transport: 'websocket' })]
  const third = await join('third', { transport: 'webrtc' })
  const clients = [one, other]
  for (const client of clients) await client.ask('traffic', client.label)
  await meet([...clients, third])
  await over(one, 'webrtc', 0)
  for (const client of clients) await client.ask('start', { rate: 50, share: 2, few: clients.map(({ id }) => id).filter(id => id !== client.id) })
  const file = { random: 8_000_000 }
  const arrives = async () => {
    const [message] = await until('the file arrives', async () => (await other.messages()).length > 0 && other.messages(), 30_000)
    assert.deepEqual(message, { channel: 'file', from: one.id, data: fingerprint(make(file)), meta: { name: 'large' } })
  }
  await check(t, 'the session goes on over a WebSocket', async () => {
    const sending = one.send('file', file, { to: other.id, meta: { name: 'large' } })
    await until('some of the file has come', async () => (await other.progress()).at(-1)?.fraction > 0.1)
    blockUDP(here.server.port)
    const began = performance.now()
    await over(one, 'websocket', 20_000)
    t.diagnostic(`${Math.round(performance.now() - began)} ms after the last packet`)
    await sending
    await arrives()
    await other.send('file', { value: 'meanwhile' }, { to: third.id })
  })
  const before = (await one.ask('states')).length
  await check(t, 'and back', async () => {
    openUDP(here.server.port)
    await over(one, 'webrtc', 90_000)
    assert.deepEqual((await one.ask('states')).slice(before), [{ status: 'open', transport: 'webrtc' }], 'without a gap')
    await sleep(1000)
  })
  await check(t, 'who wants WebRTC alone has waited for it', async () => {
    await over(third, 'webrtc', 30_000)
    await until('it hears what it missed', async () => (await third.messages()).length > 0)
    assert.deepEqual((await third.messages()).map(({ data }) => data), [fingerprint('meanwhile')])
  })
  await check(t, 'nothing is lost, doubled or out of order', () => settle(clients))
  await check(t, 'they are who they were', async () => {
    for (const client of [...clients, third]) {
      assert.equal(await client.ask('id'), client.id)
      assert.deepEqual(await client.ask('lost'), [])
    }
    assert.deepEqual((await other.events()).filter(({ event }) => event === 'leave'), [])
  })
  for (const client of [...clients, third]) await client.close()
})

test('where UDP is blocked from the start, it is a WebSocket', async () => {
  blockUDP(here.server.port)
  const client = await join('client', { transport: 'auto' })
  await over(client, 'websocket', 0)
  openUDP(here.server.port)
  await client.close()
})

test('the time to the welcome', async t => {
  const client = await join('client', {})
  const times = await client.tab.evaluate(async () => {
    const { join } = await import('/genosrtc/client.js')
    const times = { webrtc: [], websocket: [] }
    for (let n = 0; n < 11; n++) {
      for (const transport of ['webrtc', 'websocket']) {
        const began = performance.now()
        const room = await join(null, 'demo', { transport })
        times[transport].push(performance.now() - began)
        await room.leave()
      }
    }
    return times
  })
  const median = list => list.slice(1).toSorted((a, b) => a - b)[5].toFixed(1)
  t.diagnostic(`median of 10: POST to welcome ${median(times.webrtc)} ms, WebSocket to welcome ${median(times.websocket)} ms`)
  await client.close()
})
