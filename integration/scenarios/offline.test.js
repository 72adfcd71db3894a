// client.js in Chromium, as life has it: no network for a while, a reload, a tab in the background.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { BackgroundPage } from '../lib/background.js'
import { check } from '../lib/check.js'
import { Gate } from '../lib/gate.js'
import { Page } from '../lib/page.js'
import { meet } from '../lib/presence.js'
import { stage } from '../lib/stage.js'
import { until, within } from '../lib/until.js'

const here = stage('offline')

/** A client behind a gate, and another that sees who comes and goes. */
async function company(t, options = {}) {
  const gate = new Gate(8091, here.server.port)
  await gate.open()
  const client = await Page.open(here.browser, gate.site, 'client', 'client')
  const other = await here.client('demo', 'json', { label: 'other' })
  await client.join('demo', options, ['chat'])
  await meet([client, other])
  const skip = other.events().length
  t.after(async () => {
    assert.deepEqual(other.events().slice(skip), [], 'nobody saw it leave')
    await client.close()
    await other.leave()
    gate.cut()
  })
  return { gate, client, other }
}

const state = async client => client.ask('state')
const enters = (client, status, timeout) =>
  until(`the state is ${status}`, async () => (await state(client)).status === status && state(client), timeout)
const chat = one => one.messages()
const said = async one => (await chat(one)).map(({ data }) => data.replace('string ', ''))

test('no network for a while', async t => {
  const { gate, client, other } = await company(t)
  const sends = []
  await check(t, 'it is noticed within seconds', async () => {
    gate.stall()
    await client.tab.context().setOffline(true)
    const { reason } = await enters(client, 'reconnecting', 8_000)
    assert.equal(reason, 'the server is silent')
  })
  await check(t, 'what is sent waits, and the state says how often it was tried', async () => {
    for (const value of ['one', 'two', 'three']) sends.push(client.send('chat', { value }))
    await other.send('chat', { value: 'meanwhile' })
    const waiting = await until('a fourth try', async () => {
      const now = await state(client)
      return now.attempt >= 4 && now.next && now
    }, 15_000)
    assert.equal(waiting.reason, 'the server cannot be reached')
    assert.deepEqual(other.messages(), [])
  })
  await check(t, 'with the network back it goes on at once, and nothing is lost or doubled', async () => {
    const { next } = await state(client)
    await client.tab.context().setOffline(false)
    await enters(client, 'open', 3_000)
    assert.ok(next - Date.now() > -3_000)
    await within('all is acknowledged', Promise.all(sends))
    await until('all has come', async () => (await said(other)).length === 3 && (await chat(client)).length === 1)
    assert.deepEqual(await said(other), ['one', 'two', 'three'])
    assert.deepEqual(await client.ask('lost'), [])
  })
})

test('a reload while sends wait', async t => {
  const { gate, client, other } = await company(t, { persist: true })
  await client.send('chat', { value: 'zero' })
  gate.stall()
  const { id } = client
  await client.tab.evaluate(() => {
    for (const value of ['one', 'two', 'three']) void window.ask('send', 'chat', { value })
  })
  assert.equal(await client.reload(), id)
  await client.send('chat', { value: 'four' })
  await until('all has come', async () => (await said(other)).length === 5)
  assert.deepEqual(await said(other), ['zero', 'one', 'two', 'three', 'four'])
})

test('a tab in the background', async t => {
  const page = await BackgroundPage.open(`${here.server.url}/pages/client.html`)
  t.after(() => page.close())
  const other = await here.client('demo', 'json', { label: 'other' })
  const id = await page.ask('join', 'demo', {}, ['chat'])
  await until('they meet', async () => (await other.peers()).includes(id))
  const skip = other.events().length
  const heard = async () => (await page.ask('log', 'messages')).map(({ data }) => data.replace('string ', ''))

  await check(t, 'hidden for longer than a heartbeat, it keeps its connection, also when it is looked at', async () => {
    await page.hide()
    await sleep(22_000)
    await other.send('chat', { value: 'hidden' })
    await until('it hears', async () => (await heard()).length === 1)
    await page.show()
    await sleep(6_000) // a doubt would have ended by now
    assert.deepEqual(await page.ask('states'), [])
  })
  await check(t, 'frozen, it loses its connection to Chromium; thawed, it is back and has missed nothing', async () => {
    await page.hide()
    await page.freeze()
    await other.send('chat', { value: 'frozen' })
    await sleep(3_000)
    await page.thaw()
    await page.show()
    await until('it hears', async () => (await heard()).length === 2, 3_000)
    assert.deepEqual(await heard(), ['hidden', 'frozen'])
    assert.equal((await page.ask('state')).status, 'open')
  })
  await check(t, 'the server was away meanwhile: shown again, it does not wait for the next try', async () => {
    await page.hide()
    await here.server.kill()
    const { next } = await until('it waits for long', async () => {
      const { status, next } = await page.ask('state')
      return status === 'reconnecting' && next > Date.now() + 7_000 && { next }
    }, 60_000)
    await here.server.start()
    const early = Date.now() < next - 1_000
    await page.show()
    await until('it is back', async () => (await page.ask('state')).status === 'open', 2_000)
    assert.ok(early && Date.now() < next, 'the server took too long to start for this to tell anything')
  })
  await check(t, 'it is who it was, and hears what is said', async () => {
    assert.equal(await page.ask('id'), id)
    assert.deepEqual(await page.ask('lost'), [])
    assert.deepEqual(other.events().slice(skip), [])
  })
})
