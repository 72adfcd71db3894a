// The client in Python, which was written from docs/gateway.md and nothing else: with pages in
// Chromium, and by its own tests.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { test } from 'node:test'
import { check } from '../lib/check.js'
import { channels, exchange } from '../lib/exchange.js'
import { Gate } from '../lib/gate.js'
import { meet, others, serverOf, told } from '../lib/presence.js'
import { PYTHON, PythonClient } from '../lib/python.js'
import { stage } from '../lib/stage.js'
import { until } from '../lib/until.js'
import { fingerprint, make } from '../pages/value.js'

const password = 'correct horse'
const here = stage('python', { rooms: { demo: {}, locked: { password } } })
const site = () => `${here.server.url}/genosrtc`

test('its own tests', { timeout: 400_000 }, async () => {
  const tests = spawn(PYTHON, ['-m', 'unittest', '-v'], {
    cwd: path.resolve(import.meta.dirname, '../python'),
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', PYTHONUTF8: '1' },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  assert.deepEqual(await once(tests, 'exit'), [0, null])
})

for (const [room, password_] of [['demo', undefined], ['locked', password]]) {
  test(`a page, a Python client and one in JavaScript, ${password_ ? 'with' : 'without'} a password`, async t => {
    const page = await here.page(room, { label: 'page', password: password_, channels })
    const python = await PythonClient.join(site(), room, { password: password_ })
    const client = await here.client(room, 'msgpack', { label: 'msgpack client', password: password_ })
    const all = [page, python, client]
    await check(t, 'all are connected with all, and with the server', async () => {
      await meet(all)
      for (const one of all) await serverOf(one)
      assert.equal((await page.events()).find(({ event, peer }) => event === 'join' && peer === python.id).type, 'session')
      assert.equal(python.events().find(({ event, peer }) => event === 'join' && peer === page.id).type, null)
    })
    await exchange(t, all)
    await check(t, 'everybody answers the pings of everybody', async () => {
      for (const one of all) for (const other of others(all, one)) await one.ping(other.id)
    })
    await check(t, 'who leaves is gone for the others', async () => {
      await python.leave()
      assert.deepEqual(python.states.map(({ state }) => state), ['joined', 'ended'])
      for (const other of [page, client]) await told(other, 'leave', python.id)
    })
    await page.close()
    await client.leave()
  })
}

test('a payload of 1.5 MB, by a transfer: the page gets it as a message', async () => {
  const page = await here.page('demo', { label: 'page', channels: ['file'] })
  const python = await PythonClient.join(site(), 'demo')
  await meet([page, python])
  const [spec, meta] = [{ random: 1_500_000 }, { name: 'bild é.png' }]
  await python.transfer('file', spec, { to: page.id, meta })
  const [message] = await until('it comes', async () => (await page.messages()).length > 0 && page.messages(), 20_000)
  assert.deepEqual(message, { channel: 'file', from: python.id, data: fingerprint(make(spec)), meta })
  await python.leave()
  await page.close()
})

test('its socket is cut while it and a page talk', async t => {
  const gate = new Gate(8092, here.server.port)
  await gate.open()
  const page = await here.page('demo', { label: 'page', channels: ['chat'] })
  const python = await PythonClient.join(`${gate.site}/genosrtc`, 'demo')
  const all = [page, python]
  await meet(all)
  const sent = []
  for (let n = 0; n < 60; n++) {
    const value = { n, text: 'ä'.repeat(n) }
    sent.push(fingerprint(value))
    for (const one of all) void one.send('chat', { value })
    if (n % 20 === 10) {
      gate.cut()
      await gate.open()
      await until('it has resumed', () => python.states.filter(({ state }) => state === 'resumed').length > n / 20 - 1)
    }
  }
  await check(t, 'nothing is lost, doubled or out of order', async () => {
    for (const one of all) {
      const came = async () => (await one.messages()).map(({ data }) => data)
      await until(`${one.label} has all`, async () => (await came()).length >= sent.length, 20_000)
      assert.deepEqual(await came(), sent)
    }
  })
  await check(t, 'nobody was seen to leave', async () => {
    for (const one of all) assert.deepEqual((await one.events()).filter(({ event }) => event === 'leave'), [])
  })
  await python.leave()
  await page.close()
  gate.cut()
})
