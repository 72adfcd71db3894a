// Joining, peers, pings, errors, leaving.

import assert from 'node:assert/strict'
import { getEventListeners, once } from 'node:events'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { gdb, join, next, setUp, startServer, until } from './helpers.js'
import { TestServer } from './server.js'

test('a room knows itself and its peers', async (t) => {
  const { room: alice, server, join } = await setUp(t)
  assert.match(alice.id, /^[0-9A-Za-z]{20}$/)
  assert.equal(alice.selfId, alice.id)
  assert.equal(alice.identity, 'session')
  assert.equal(alice.name, 'demo')
  const [superpeer] = server.peers.keys()
  assert.deepEqual(alice.getPeers(), { [superpeer]: { type: 'superpeer' } })

  const joined = next(alice, 'peer:join', (id) => id !== superpeer)
  const bob = await join()
  assert.deepEqual(await joined, [bob.id, 'session'])
  assert.deepEqual(alice.getPeers()[bob.id], { type: 'session' })

  const left = next(alice, 'peer:leave')
  await bob.leave()
  assert.deepEqual(await left, [bob.id, 'session'])
  assert.equal(alice.getPeers()[bob.id], undefined)

  const browser = next(alice, 'peer:join')
  const { id } = server.addPeer()
  assert.deepEqual(await browser, [id, undefined])
  for (const event of ['seen', 'lost']) {
    const heard = next(alice, `peer:${event}`)
    server.announce(event, { id: 'x' })
    assert.deepEqual(await heard, ['x', undefined])
  }
})

test('gdb(), as GenosDB has it', async (t) => {
  const server = await startServer(t)
  server.rooms.set('secret', { password: 'open sesame' })
  const db = await gdb('secret', { url: server.url, password: 'open sesame', rtc: { relayUrls: ['wss://relay.example'], cells: true } })
  assert.equal(db.selfId, db.room.id)
  await db.room.leave()
  await assert.rejects(gdb('nowhere', { url: server.url }), { code: 'not_found' })
})

test('listeners that are added at once miss nothing', async (t) => {
  const server = await startServer(t)
  const superpeer = server.addPeer('superpeer')
  // The message comes with the welcome, in the same piece of network data.
  const announce = server.announce
  server.announce = (event, peer) => {
    if (event === 'join' && peer.tell) superpeer.say('chat', 'early')
    announce.call(server, event, peer)
  }
  const seen = []
  const room = await join(server.url, 'demo')
  t.after(() => room.leave())
  room.on('peer:join', (id, type) => seen.push(type))
  room.channel('chat').on('message', (data) => seen.push(data))
  await until(() => seen.length === 2)
  assert.deepEqual(seen, ['superpeer', 'early'])
})

test('a listener that throws disturbs no other', async (t) => {
  const { room, server } = await setUp(t)
  const reported = t.mock.method(console, 'error', () => {})
  room.channel('chat').on('message', () => {
    throw new Error('mine')
  })
  const [superpeer] = server.peers.values()
  for (const text of ['one', 'two']) {
    const heard = next(room.channel('chat'), 'message')
    superpeer.say('chat', text)
    assert.equal((await heard)[0], text)
  }
  assert.equal(reported.mock.callCount(), 2)
})

test('ping', async (t) => {
  const { room, join, server } = await setUp(t)
  const other = await join()
  assert.ok((await room.ping()) >= 0)
  assert.ok((await room.ping(other.id)) >= 0)
  await assert.rejects(room.ping('nobody'), { code: 'unknown_peer' })
  server.silent = true
  const pings = Array.from({ length: 256 }, () => assert.rejects(room.ping(), { code: 'disconnected' }))
  await assert.rejects(room.ping(), { code: 'too_many' })
  server.drop()
  await Promise.all(pings)
  server.silent = false
})

test('a ping that the server refuses', async (t) => {
  const { room, server } = await setUp(t)
  server.silent = true
  const refused = assert.rejects(room.ping(), { code: 'too_many' })
  const [session] = server.sessions
  // A silent server keeps no note of the ping's id: it is one of the first.
  for (let id = 1; id < 10; id++) session.tell({ op: 'error', code: 'too_many', message: 'too many pings', id })
  await refused
  server.silent = false
})

test('the server pings us', async (t) => {
  const { server } = await setUp(t)
  const [session] = server.sessions
  session.tell({ op: 'ping', id: 77 })
  await until(() => session.received.some(({ op, id }) => op === 'pong' && id === 77))
})

test('errors that belong to no send, and what cannot be read', async (t) => {
  const { room, server } = await setUp(t)
  const [session] = server.sessions
  let error = next(room, 'error')
  session.tell({ op: 'error', code: 'unknown_op', message: 'no such op' })
  assert.equal((await error)[0].code, 'unknown_op')
  error = next(room, 'error')
  session.ws.send(Buffer.from([0xc1]))
  assert.equal((await error)[0].code, 'bad_message')
  session.tell({ op: 'from the future' })
  await room.channel('chat').send('still here')
})

test('a password', async (t) => {
  const server = await startServer(t)
  server.rooms.set('secret', { password: 'open sesame' })
  await assert.rejects(join(server.url, 'secret'), { code: 'password' })
  await assert.rejects(join(server.url, 'secret', { password: 'no', protocol: 'json' }), { code: 'password' })
  assert.equal(server.dials.length, 2, 'no second try')
  const room = await join(server.url, 'secret', { password: 'open sesame' })
  await room.leave()
})

test('a token, and another when that has expired', async (t) => {
  const server = await startServer(t)
  const asked = []
  const token = async () => {
    asked.push(`token ${asked.length}`)
    if (asked.length === 2) throw new Error('offline')
    return asked.at(-1)
  }
  const room = await join(server.url, 'demo', { token })
  const [session] = server.sessions
  session.ws.close(4001, 'token_expired')
  await next(room, 'open')
  const tokens = session.received.filter(({ op }) => op === 'hello').map(({ token }) => token)
  assert.deepEqual(tokens, ['token 0', 'token 2'], 'no token, no hello')
  await room.leave()
  const other = await join(server.url, 'demo', { token: 'a string' })
  assert.equal(server.sessions.at(-1).received[0].token, 'a string')
  await other.leave()
  await assert.rejects(join(server.url, 'demo', { token: () => new Promise(() => {}), timeout: 50 }), { code: 'timeout' })
})

test('connections leave no listeners behind', async (t) => {
  const signals = new Set()
  const { addEventListener } = AbortSignal.prototype
  AbortSignal.prototype.addEventListener = function (...args) {
    signals.add(this)
    return addEventListener.apply(this, args)
  }
  t.after(() => delete AbortSignal.prototype.addEventListener)
  const server = await startServer(t)
  const room = await join(server.url, 'demo', { token: () => 'a token' })
  t.after(() => room.leave())
  for (let n = 0; n < 3; n++) {
    server.drop()
    await next(room, 'open')
  }
  assert.ok(signals.size > 0)
  for (const signal of signals) assert.deepEqual(getEventListeners(signal, 'abort'), [])
})

test('a room that is not there, and an origin that is not welcome', async (t) => {
  const server = await startServer(t)
  await assert.rejects(join(server.url, 'nowhere'), { code: 'not_found', message: 'no room nowhere' })
  server.refusal = { status: 403, headers: {}, detail: 'origin' }
  await assert.rejects(join(server.url, 'demo'), { code: 'forbidden', message: 'origin' })
  assert.equal(server.dials.length, 2, 'no second try')
})

test('addresses', async (t) => {
  const server = await startServer(t)
  server.rooms.set('a/b c?#ü', {})
  for (const url of [server.url, `${server.url}/`, new URL(server.url), server.url.replace('http', 'ws')]) {
    const room = await join(url, 'a/b c?#ü')
    await room.leave()
  }
  await assert.rejects(join('ftp://host/genosrtc', 'demo'), { code: 'bad_url' })
  await assert.rejects(join('http://', 'demo'), { code: 'bad_url' })
  await assert.rejects(join(server.url, 'demo', { protocol: 'xml' }), { name: 'TypeError' })
})

test('join gives up after its timeout', async (t) => {
  const server = await startServer(t)
  server.refusal = { status: 503, headers: {}, detail: 'starting' }
  const began = performance.now()
  await assert.rejects(join(server.url, 'demo', { timeout: 1000 }), { code: 'timeout', message: /starting/ })
  assert.ok(performance.now() - began < 2000)
  assert.ok(server.dials.length >= 2, 'it tried again')

  server.refusal = null
  server.silent = true
  await assert.rejects(join(server.url, 'demo', { timeout: 200 }), { code: 'timeout' })
})

test('join waits for a server that starts late', async (t) => {
  // Somebody else has the port at first, and hangs up.
  const stranger = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1')
  await once(stranger, 'listening')
  const { port } = stranger.address()
  const joining = join(`http://127.0.0.1:${port}/genosrtc`, 'demo')
  await once(stranger, 'connection')
  stranger.close()
  const server = new TestServer()
  await server.listen(port)
  t.after(() => server.close())
  const room = await joining
  await room.leave()
})

test('leaving', async (t) => {
  const { room, server } = await setUp(t)
  const closed = next(room, 'close')
  const left = next(room, 'peer:leave')
  const last = room.channel('chat').send('goodbye')
  const leaving = room.leave()
  await assert.rejects(room.channel('chat').send('too late'), { code: 'left' })
  await last
  await leaving
  assert.deepEqual(await closed, [{ code: 1000, reason: 'left', final: true }])
  await left
  assert.deepEqual(room.getPeers(), {})
  await assert.rejects(room.ping(), { code: 'left' })
  await room.leave()
  await until(() => server.sessions.length === 0)
})

test('leaving a server that does not answer', async (t) => {
  const { room, server } = await setUp(t)
  server.silent = true
  const pending = assert.rejects(room.channel('chat').send('x'), { code: 'left' })
  await room.leave()
  await pending
})
