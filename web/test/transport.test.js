// What carries a session: WebRTC, a WebSocket, or what there is, and moving from one to the other.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildSync } from 'esbuild'
import { join, next, startServer, until } from './helpers.js'
import { peerConnection } from './webrtc.js'

async function setUp(t, options, enter = true) {
  t.mock.method(Math, 'random', () => 0) // waits are as short as they can be
  const server = await startServer(t)
  const PeerConnection = (globalThis.RTCPeerConnection = peerConnection(server))
  t.after(() => delete globalThis.RTCPeerConnection)
  if (!enter) return { server, PeerConnection }
  const room = await join(server.url, 'demo', options)
  t.after(() => room.leave())
  return { server, PeerConnection, room }
}

const transports = (room) => {
  const seen = []
  room.on('state', ({ status, transport = status }) => seen.push(transport))
  return seen
}

const random = (size) => Uint8Array.from({ length: size }, (_, at) => (at * 31 + (at >> 8)) % 251)

test('a WebSocket, where nothing is said', async (t) => {
  const { server, room } = await setUp(t)
  assert.deepEqual(room.state, { status: 'open', transport: 'websocket' })
  assert.equal(server.offers.length, 0)
})

test('WebRTC: messages, long ones in pieces, and transfers', async (t) => {
  const { server, room } = await setUp(t, { transport: 'webrtc' })
  server.limits = { ...server.limits, message: 65_536 }
  assert.deepEqual(room.state, { status: 'open', transport: 'webrtc' })
  assert.equal(server.dials.length, 0)
  const heard = []
  const peer = server.addPeer('browser', ({ data }) => heard.push(data))
  room.channel('c').on('message', (data) => heard.push(data))
  for (const size of [0, 1, 65_000, 65_536, 70_000, 500_000, 2_000_000]) {
    peer.say('c', random(size))
    await room.channel('c').send(random(size))
    await until(() => heard.length === 2)
    assert.deepEqual(heard.splice(0).map((bytes) => Buffer.from(bytes).equals(Buffer.from(random(size)))), [true, true], String(size))
  }
  const [wire] = server.wires.values()
  assert.ok(Math.max(...wire.sizes) <= 262_144)
  const another = await join(server.url, 'demo', { transport: 'webrtc' })
  t.after(() => another.leave())
  assert.ok((await room.ping()) >= 0)
  const got = next(another.channel('c'), 'message')
  await room.channel('c').send(random(5_000_000), { to: another.id })
  assert.ok(Buffer.from((await got)[0]).equals(Buffer.from(random(5_000_000))))
})

test('the offer has the credentials', async (t) => {
  const { server } = await setUp(t, {}, false)
  server.rooms.set('demo', { password: 'grüße' })
  const room = await join(server.url, 'demo', { transport: 'webrtc', password: 'grüße' })
  await room.leave()
  server.rooms.set('demo', {})
  await (await join(server.url, 'demo', { transport: 'webrtc', token: async () => 'abc' })).leave()
  assert.deepEqual(
    server.offers.map(({ headers }) => [headers['content-type'], headers.authorization]),
    [
      ['application/sdp', `Basic ${Buffer.from(':grüße').toString('base64')}`],
      ['application/sdp', 'Bearer abc'],
    ],
  )
})

test('what cannot be', async (t) => {
  const { server } = await setUp(t, {}, false)
  await assert.rejects(join(server.url, 'demo', { transport: 'carrier pigeon' }), TypeError)
  await assert.rejects(join(server.url, 'demo', { transport: 'auto', protocol: 'json' }), TypeError)
  await assert.rejects(join(server.url, 'elsewhere', { transport: 'webrtc' }), { code: 'not_found' })
  server.refusal = { status: 403, headers: {}, detail: 'a foreign origin' }
  await assert.rejects(join(server.url, 'demo', { transport: 'webrtc' }), { code: 'forbidden', message: 'a foreign origin' })
  server.refusal = { status: 401, headers: {}, code: 'password', detail: 'the room has another password' }
  await assert.rejects(join(server.url, 'demo', { transport: 'webrtc', password: 'x' }), { code: 'password', message: 'the room has another password' })
  server.refusal = null
  delete globalThis.RTCPeerConnection
  await assert.rejects(join(server.url, 'demo', { transport: 'webrtc' }), { code: 'unsupported' })
  const room = await join(server.url, 'demo', { transport: 'auto' })
  assert.equal(room.state.transport, 'websocket')
  await room.leave()
})

test('the end says why', async (t) => {
  const { server, room } = await setUp(t, { transport: 'webrtc' })
  const closed = next(room, 'close')
  server.sessions[0].ws.close(1001, 'server stopping')
  const opened = next(room, 'open')
  assert.deepEqual(await closed, [{ code: 1001, reason: 'server stopping', final: false }])
  await opened
  const final = next(room, 'close', ({ final }) => final)
  server.sessions[0].ws.close(4000, 'resumed elsewhere')
  assert.equal((await final)[0].error.code, 'resumed_elsewhere')
})

test('auto: a WebSocket at once where the offer is refused, and within 5 s where no packet passes', async (t) => {
  const { server } = await setUp(t, {}, false)
  const entered = async (options) => {
    const began = performance.now()
    const room = await join(server.url, 'demo', { transport: 'auto', ...options })
    const { transport } = room.state
    await room.leave()
    return [transport, performance.now() - began]
  }
  const [direct] = await entered()
  assert.equal(direct, 'webrtc')
  server.udp = false
  server.rooms.set('demo', { password: 'geheim' })
  const [blocked, waited] = await entered({ password: 'geheim' })
  assert.equal(blocked, 'websocket')
  assert.ok(waited > 4_900 && waited < 7_000, `${waited} ms`)
  server.rooms.set('demo', {})
  assert.deepEqual(
    server.deletes.map(({ url, headers }) => [url, headers.authorization]),
    [['/genosrtc/rooms/demo/whip/1', server.offers[1].headers.authorization]],
  )
  assert.match(server.deletes[0].headers.authorization, /^Basic /)
  server.answer = () => assert.fail()
  server.refuses = (request) => (request.method === 'POST' ? { status: 404, headers: {} } : null)
  const [refused, took] = await entered()
  assert.equal(refused, 'websocket')
  assert.ok(took < 1_000, `${took} ms`)
})

test('auto: UDP is blocked in the middle, and opened again; nothing is lost or doubled, and nothing waits', async (t) => {
  const { server, PeerConnection, room } = await setUp(t, { transport: 'auto' })
  const [numbers, heard] = [[], []]
  const peer = server.addPeer('browser', ({ data }) => numbers.push(data))
  room.channel('c').on('message', (data) => heard.push(data))
  const { id } = room
  const seen = transports(room)
  let n = 0
  const sends = []
  const timer = setInterval(() => {
    sends.push(room.channel('c').send(++n))
    peer.say('c', n)
  }, 5)
  t.after(() => clearInterval(timer))
  await until(() => n > 20)
  server.udp = false
  PeerConnection.all[0].become('disconnected')
  const [{ reason }] = await next(room, 'close')
  assert.equal(reason, 'the server is silent')
  await next(room, 'open')
  assert.deepEqual(seen, ['reconnecting', 'reconnecting', 'websocket'])
  server.udp = true
  const moved = next(room, 'state')
  const states = await moved
  assert.deepEqual(states, [{ status: 'open', transport: 'webrtc' }])
  assert.equal(seen.length, 4)
  await until(() => n > 50)
  clearInterval(timer)
  await Promise.all(sends)
  await until(() => heard.length >= n && numbers.length >= n)
  const all = Array.from({ length: n }, (_, at) => at + 1)
  assert.deepEqual(numbers, all)
  assert.deepEqual(heard, all)
  assert.equal(room.id, id)
  assert.equal(server.sessions.length, 1)
})

test('auto: transfers and requests of the graph go on over a move, and leaving does too', async (t) => {
  const { server, PeerConnection } = await setUp(t, {}, false)
  server.refusal = { status: 503, headers: {} }
  server.refuses = ({ method }) => (method === 'POST' ? server.refusal : null)
  const [mover, leaver] = await Promise.all([1, 2].map(() => join(server.url, 'demo', { transport: 'auto' })))
  const other = await join(server.url, 'demo')
  t.after(() => Promise.all([mover.leave(), other.leave()]))
  const heard = next(other.channel('c'), 'message')
  const bytes = random(3_000_000)
  server.holdAcks = server.holdGraph = true
  const sending = mover.channel('c').send(bytes, { to: other.id })
  const put = mover.graph.put({ a: 1 }, 'node')
  server.refusal = null
  const moved = next(mover, 'state')
  const left = until(() => PeerConnection.all[3]?.channel.readyState === 'open', 'one moves', 20_000).then(() => leaver.leave())
  assert.deepEqual(await moved, [{ status: 'open', transport: 'webrtc' }])
  server.holdAcks = server.holdGraph = false
  server.sessions.find(({ id }) => id === mover.id).ws.terminate()
  await sending
  assert.ok(Buffer.from((await heard)[0]).equals(Buffer.from(bytes)))
  assert.deepEqual((await put).value, { a: 1 })
  await left
  assert.equal(leaver.state.status, 'closed')
  await until(() => server.sessions.length === 2)
})

test('auto: a try of WebRTC that opens, and is turned away, is not the end', async (t) => {
  const { server } = await setUp(t, {}, false)
  server.refuses = ({ method }) => (method === 'POST' ? server.refusal : null)
  server.refusal = { status: 503, headers: {} }
  const room = await join(server.url, 'demo', { transport: 'auto' })
  t.after(() => room.leave())
  const { id } = room
  const seen = transports(room)
  server.refusal = null
  server.ending = [1002, 'hello_timeout']
  const [{ reason, final }] = await next(room, 'close')
  assert.deepEqual([reason, final], ['hello_timeout', false])
  await next(room, 'open')
  assert.deepEqual(seen, ['reconnecting', 'reconnecting', 'websocket'])
  assert.equal(room.id, id)
  assert.equal(server.offers.length, 2)
})

test('auto: what comes too late of a try is nothing to the next connection', async (t) => {
  const { outputFiles } = buildSync({ entryPoints: [new URL('../src/transports.ts', import.meta.url).pathname], bundle: true, format: 'esm', write: false })
  const { Transports } = await import(`data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`)
  globalThis.RTCPeerConnection = class {}
  t.after(() => delete globalThis.RTCPeerConnection)
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const transports = new Transports({ transport: 'auto' }, new URL('ws://localhost/'), { subprotocol: 'genosrtc.v1.msgpack' })
  const tries = [] // what fails each
  const authorize = () => new Promise((_, fail) => tries.push(fail))
  transports.welcomed({ kind: 'websocket' }, authorize)
  t.mock.timers.tick(1)
  assert.equal(tries.length, 1)
  transports.welcomed({ kind: 'webrtc' }, authorize)
  tries[0](new Error('no token'))
  await new Promise(setImmediate)
  t.mock.timers.tick(1_000_000)
  assert.equal(tries.length, 1)
})
