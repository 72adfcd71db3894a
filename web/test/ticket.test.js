// A session that lives over a reload of its page, with a browser's events and storage played by Node's.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { join, next, startServer, until } from './helpers.js'

/** A page: what happens to it, and the storage of its tab. */
function open(t) {
  const page = new EventTarget()
  const kept = new Map()
  const globals = {
    sessionStorage: {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => kept.set(key, value),
      removeItem: (key) => kept.delete(key),
    },
    addEventListener: page.addEventListener.bind(page),
    removeEventListener: page.removeEventListener.bind(page),
  }
  Object.assign(globalThis, globals)
  t.after(() => Object.keys(globals).forEach((name) => delete globalThis[name]))
  const tell = (type, persisted) => page.dispatchEvent(Object.assign(new Event(type), { persisted }))
  return { kept, tell }
}

test('persist: the next page goes on with the session', async (t) => {
  const { kept, tell } = open(t)
  const server = await startServer(t)
  const first = await join(server.url, 'demo', { persist: true })
  const seen = []
  first.channel('chat').on('message', (data) => seen.push(data))
  const peer = server.addPeer()
  peer.say('chat', 'one')
  await first.channel('chat').send('mine')
  await until(() => seen.length === 1)
  assert.equal(kept.size, 0, 'nothing is kept while the page is there')
  tell('pagehide', false)
  assert.equal(kept.size, 1)
  first.on('close', () => first.leave()) // the page has gone
  server.drop()
  await next(first, 'close')
  peer.say('chat', 'two')

  const second = await join(server.url, 'demo', { persist: true })
  t.after(() => second.leave())
  second.channel('chat').on('message', (data) => seen.push(data))
  assert.equal(second.id, first.id)
  assert.equal(kept.size, 0)
  await until(() => seen.length === 2)
  assert.deepEqual(seen, ['one', 'two'])
  await second.channel('chat').send('mine too')
  assert.deepEqual(
    server.sessions[0].received.filter(({ op }) => op === 'send').map(({ seq, data }) => [seq, data]),
    [[1, 'mine'], [2, 'mine too']], // prettier-ignore
  )
})

test('persist: a session that has ended meanwhile is told as lost, once somebody listens', async (t) => {
  const { tell } = open(t)
  const server = await startServer(t)
  const first = await join(server.url, 'demo', { persist: true })
  tell('pagehide', false)
  await first.leave()
  const second = await join(server.url, 'demo', { persist: true })
  t.after(() => second.leave())
  const lost = next(second, 'session:lost')
  assert.deepEqual(await lost, ['unknown'])
  assert.notEqual(second.id, first.id)
})

test('persist: a page that comes back by itself keeps its session to itself', async (t) => {
  const { kept, tell } = open(t)
  const server = await startServer(t)
  const room = await join(server.url, 'demo', { persist: true })
  tell('pagehide', true)
  assert.equal(kept.size, 1)
  tell('pageshow', true)
  assert.equal(kept.size, 0)
  await room.leave()
  tell('pagehide', false)
  assert.equal(kept.size, 0, 'the room was left')
})

test('without persist a page that ends leaves the room', async (t) => {
  const { kept, tell } = open(t)
  const server = await startServer(t)
  const room = await join(server.url, 'demo')
  tell('pagehide', true)
  await room.ping()
  assert.equal(server.sessions.length, 1, 'it may come back')
  const closed = next(room, 'close')
  tell('pagehide', false)
  await closed
  assert.equal(server.sessions.length, 0)
  assert.equal(kept.size, 0)
})
