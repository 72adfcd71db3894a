// The network changes, the page is hidden and shown: with a browser's events played by Node's.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { join, next, startServer, until } from './helpers.js'

async function setUp(t) {
  const page = new EventTarget()
  const globals = {
    document: { hidden: false },
    addEventListener: page.addEventListener.bind(page),
    removeEventListener: page.removeEventListener.bind(page),
  }
  Object.assign(globalThis, globals)
  t.after(() => Object.keys(globals).forEach((name) => delete globalThis[name]))
  const server = await startServer(t)
  const room = await join(server.url, 'demo')
  t.after(() => room.leave())
  return { server, room, happens: (type) => page.dispatchEvent(new Event(type)) }
}

test('a connection in doubt is asked: one that lives is kept, one that is dead is given up within seconds', async (t) => {
  const { server, room, happens } = await setUp(t)
  const [session] = server.sessions
  const asked = () => session.received.filter(({ op, id }) => op === 'ping' && id === 0).length
  for (const [at, event] of ['offline', 'online', 'visibilitychange'].entries()) {
    happens(event)
    await until(() => asked() === at + 1)
  }
  await new Promise((resolve) => setTimeout(resolve, 5_500))
  assert.equal(server.dials.length, 1)
  server.silent = true
  const closed = next(room, 'close')
  const began = performance.now()
  happens('offline')
  assert.equal((await closed)[0].reason, 'the server is silent')
  assert.ok(performance.now() - began < 8_000)
  server.silent = false
  await next(room, 'open')
})

test('who waits for the next try does not wait longer when the network is back, or the page is shown', async (t) => {
  const { server, room, happens } = await setUp(t)
  for (const event of ['online', 'visibilitychange']) {
    server.refusal = { status: 503, headers: { 'Retry-After': '30' } }
    server.drop()
    await until(() => room.state.next > Date.now() + 20_000)
    document.hidden = true
    happens('visibilitychange')
    const { length } = server.dials
    await new Promise((resolve) => setTimeout(resolve, 50))
    assert.equal(server.dials.length, length, 'a page that is hidden is no reason')
    document.hidden = event === 'online' // also in the background
    server.refusal = null
    const opened = next(room, 'open')
    happens(event)
    await opened
    document.hidden = false
  }
})
