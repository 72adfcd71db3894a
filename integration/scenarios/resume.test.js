// client.js in Chromium keeps its session: over cut sockets, and over a server that was killed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { check } from '../lib/check.js'
import { Gate } from '../lib/gate.js'
import { Page, ready } from '../lib/page.js'
import { meet, told } from '../lib/presence.js'
import { settle } from '../lib/settle.js'
import { stage } from '../lib/stage.js'
import { until } from '../lib/until.js'
import { fingerprint, make } from '../pages/value.js'

const here = stage('resume')
const file = { random: 20_000_000 }

/** Two clients in traffic, one behind a gate of its own, and a page that sees who comes and goes. */
async function company(gate) {
  const page = await here.page('demo', { label: 'page' })
  const clients = []
  for (const [name, site] of [['behind the gate', gate.site], ['other', here.server.url]]) {
    const client = await Page.open(here.browser, site, name, 'client')
    await client.join('demo', {}, ['file'])
    await client.ask('traffic', name)
    clients.push(client)
  }
  await meet([page, ...clients])
  for (const client of clients) await client.ask('start', { rate: 50, share: 2, few: clients.map(({ id }) => id).filter(id => id !== client.id) })
  return { page, clients }
}

async function over(t, what, interrupt) {
  const gate = new Gate(8090, here.server.port)
  await gate.open()
  const { page, clients } = await company(gate)
  const ids = clients.map(({ id }) => id)
  await check(t, what, () => interrupt(gate))
  await check(t, 'nothing is lost, doubled or out of order', () => settle(clients))
  await check(t, 'the clients are who they were', async () => {
    assert.deepEqual(await Promise.all(clients.map(client => client.ask('id'))), ids)
    for (const client of clients) assert.deepEqual(await client.ask('lost'), [])
  })
  return { gate, page, clients }
}

const close = async ({ gate, page, clients }) => {
  for (const one of [page, ...clients]) await one.close()
  gate.cut()
}

test('sockets are cut', async t => {
  const company = await over(t, 'five times, for up to 2 s', async gate => {
    for (let n = 0; n < 5; n++) {
      await sleep(1000)
      gate.cut()
      await sleep(n * 500)
      await gate.open()
    }
  })
  await check(t, 'nobody was seen to leave', async () => {
    const left = (await company.page.events()).filter(({ event }) => event === 'leave')
    assert.deepEqual(left, [])
  })
  await close(company)
})

test('the server is killed and started again', async t => {
  const company = await over(t, 'twice', async () => {
    for (let n = 0; n < 2; n++) {
      await sleep(1000)
      await here.server.kill()
      await here.server.start()
      await sleep(1000)
    }
  })
  await close(company)
})

test('a file of 20 MB, while the server is killed and the sockets are cut', async t => {
  const gate = new Gate(8090, here.server.port)
  await gate.open()
  const sender = await Page.open(here.browser, gate.site, 'sender', 'client')
  const receiver = await Page.open(here.browser, here.server.url, 'receiver', 'client')
  for (const client of [sender, receiver]) await client.join('demo', {}, ['file'])
  await meet([sender, receiver])
  const sending = sender.send('file', file, { to: receiver.id, meta: { name: 'large' }, progress: true })
  const reaches = fraction =>
    until(`the receiver has ${fraction} of it`, async () => (await receiver.progress()).at(-1)?.fraction >= fraction, 30_000)
  await reaches(0.2)
  gate.cut()
  await gate.open()
  await reaches(0.4)
  await here.server.kill()
  await here.server.start()
  await sending
  const [message] = await until('it arrives', async () => (await receiver.messages()).length > 0 && receiver.messages())
  assert.deepEqual(message, { channel: 'file', from: sender.id, data: fingerprint(make(file)), meta: { name: 'large' } })
  for (const client of [sender, receiver]) {
    const fractions = (await client.progress()).map(({ fraction }) => fraction)
    assert.deepEqual(fractions, fractions.toSorted((a, b) => a - b), `${client.label}: falls`)
    assert.equal(fractions.at(-1), 1)
    assert.ok(fractions.length > 20, `${client.label}: only ${fractions}`)
    await client.close()
  }
  gate.cut()
})

test('a page that goes and comes again goes on with its session, where it asks for that', async t => {
  const client = await Page.open(here.browser, here.server.url, 'client', 'client')
  const other = await here.client('demo', 'json', { label: 'other' })
  const joining = ['demo', { persist: true }, ['chat']]
  const id = await client.join(...joining)
  await meet([client, other])
  await other.send('chat', { value: 'before' })
  await until('it comes', async () => (await client.messages()).length === 1)
  const skip = other.events().length

  const address = client.tab.url()
  await client.tab.goto('about:blank')
  await other.send('chat', { value: 'meanwhile' })
  await client.tab.goto(address)
  await ready(client.tab)
  assert.equal(await client.join(...joining), id)
  await other.send('chat', { value: 'after' })
  await until('both come', async () => (await client.messages()).length >= 2)
  assert.deepEqual((await client.messages()).map(({ data }) => data), ['string meanwhile', 'string after'])
  assert.deepEqual(other.events().slice(skip), [], 'nobody saw it leave')
  await client.close()
  await other.leave()
})

test('a page that does not ask for that leaves when it goes', async t => {
  const client = await Page.open(here.browser, here.server.url, 'client', 'client')
  const other = await here.client('demo', 'json', { label: 'other' })
  await client.join('demo', {}, ['chat'])
  await meet([client, other])
  await client.tab.goto('about:blank')
  await told(other, 'leave', client.id, { timeout: 3000 })
  await client.close()
  await other.leave()
})
