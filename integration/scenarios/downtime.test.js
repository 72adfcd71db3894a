// The server goes, and comes back: all are connected again soon.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { check } from '../lib/check.js'
import { meet, serverOf, servers, told } from '../lib/presence.js'
import { stage } from '../lib/stage.js'
import { until } from '../lib/until.js'

const here = stage('downtime')
const channels = ['chat']

async function company() {
  const pages = [
    await here.page('demo', { label: 'page 1', channels }),
    await here.page('demo', { label: 'page 2', channels }),
  ]
  const client = await here.client('demo', 'json', { label: 'client' })
  await meet([...pages, client])
  for (const page of pages) await serverOf(page)
  return { pages, client }
}

test('killed and started again', async t => {
  const { pages, client } = await company()
  const old = await serverOf(pages[0])
  let listening

  await check(t, 'the server is down for at most 2 s', async () => {
    const down = Date.now()
    await here.server.kill()
    await sleep(1000)
    await here.server.start()
    listening = Date.now()
    t.diagnostic(`down for ${listening - down} ms`)
  })
  await check(t, 'all pages are connected with it within 10 s of the relay listening', async () => {
    for (const page of pages) {
      await until(
        `${page.label} has joined the new server`,
        async () => (await servers(page)).some(peer => peer !== old),
        listening + 10_000 - Date.now(),
      )
      t.diagnostic(`${page.label}: connected ${Date.now() - listening} ms after`)
    }
  })
  await check(t, 'the peers of the old server leave', async () => {
    for (const page of pages) for (const peer of [old, client.id]) await told(page, 'leave', peer, { timeout: 20_000 })
  })
  const back = await here.client('demo', 'msgpack', { label: 'returned client' })
  await check(t, 'a client that returns is connected with all', () => meet([...pages, back]))
  await check(t, 'messages pass', () => chat([...pages, back]))
  for (const page of pages) await page.close()
  await back.leave()
})

test('stopped by its operator', async t => {
  const { pages, client } = await company()
  const gone = [await serverOf(pages[0]), client.id]
  const stopping = here.server.stop()

  await check(t, 'pages are told within 3 s that the server and its clients leave', async () => {
    for (const page of pages) for (const peer of gone) await told(page, 'leave', peer, { timeout: 3000 })
  })
  await check(t, 'the client is told why', async () => {
    await until('the WebSocket is closed', () => client.ended)
    assert.deepEqual(client.ended, { code: 1001, reason: 'server stopping' })
  })
  await check(t, 'the process ends', () => stopping)
  for (const page of pages) await page.close()
})

async function chat(participants) {
  for (const one of participants) await one.send('chat', { value: `from ${one.id}` })
  for (const one of participants) {
    const senders = participants.filter(other => other !== one).map(({ id }) => id)
    await until(`${one.label} hears all`, async () => {
      const heard = (await one.messages()).map(({ from }) => from)
      return senders.every(sender => heard.includes(sender))
    })
  }
}
