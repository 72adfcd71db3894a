// A lost socket: a new session, the peers anew, and what was not acknowledged again.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { next, setUp, until } from './helpers.js'

/** Everything that a room tells, as text. */
function diary(room) {
  const lines = []
  for (const event of ['open', 'close', 'peer:join', 'peer:leave']) {
    room.on(event, (arg, type) => lines.push(event === 'close' ? `close ${arg.final ? 'final' : 'for now'}` : `${event} ${type ?? arg}`))
  }
  return lines
}

test('a new session has a new id, and its peers join anew', async (t) => {
  const { room, server } = await setUp(t)
  const before = room.id
  await new Promise((resolve) => setTimeout(resolve)) // the first joins are told
  const lines = diary(room)
  const closed = next(room, 'close').then(([closing]) => ({ ...closing, peers: room.getPeers() }))
  const opened = next(room, 'open')
  server.drop()
  assert.deepEqual(await closed, { code: 1006, reason: '', final: false, peers: {} })
  await assert.rejects(room.ping(), { code: 'disconnected' })
  assert.deepEqual(await opened, [room.id])
  assert.notEqual(room.id, before)
  await until(() => lines.length === 4)
  assert.deepEqual(lines, ['close for now', 'peer:leave superpeer', `open ${room.id}`, 'peer:join superpeer'])
  await room.channel('chat').send('again')
})

test('what was not acknowledged is sent again, in order', async (t) => {
  const { room, server } = await setUp(t)
  server.holdAcks = true
  const sends = ['a', 'b'].map((text) => room.channel('chat').send(text))
  await until(() => server.lastSeq === 0 && server.sessions[0].lastSeq === 2)
  const opened = next(room, 'open')
  server.drop()
  await next(room, 'close')
  server.holdAcks = false
  sends.push(room.channel('chat').send('c'), room.channel('chat').send(new Blob(['d'])))
  await opened
  await Promise.all(sends)
  const [session] = server.sessions
  const again = session.received.filter(({ op }) => op === 'send').map(({ data }) => data.toString())
  assert.deepEqual(again, ['a', 'b', 'c', 'd'])
})

test('what was acknowledged is not sent again', async (t) => {
  const { room, server } = await setUp(t)
  await room.channel('chat').send('done')
  const opened = next(room, 'open')
  server.drop()
  await opened
  await room.channel('chat').send('new')
  const sends = server.sessions[0].received.filter(({ op }) => op === 'send')
  assert.deepEqual(
    sends.map(({ data }) => data),
    ['new'],
  )
})

test('the queue of unacknowledged sends is bounded', async (t) => {
  const { room, server } = await setUp(t)
  server.holdAcks = true
  const mebibyte = new Uint8Array(2 ** 20)
  const sends = Array.from({ length: 15 }, () => room.channel('file').send(mebibyte))
  await assert.rejects(room.channel('file').send(mebibyte), { code: 'queue_full' })
  await assert.rejects(room.channel('file').send(new Blob([mebibyte])), { code: 'queue_full' })
  await until(() => server.sessions[0].lastSeq === 15)
  server.sessions[0].tell({ op: 'ack', seq: 15 })
  await Promise.all(sends)
  server.holdAcks = false
  await room.channel('file').send(mebibyte)
})

test('a message that would end every session is refused', async (t) => {
  const { room, server } = await setUp(t)
  await assert.rejects(room.channel('file').send(new Uint8Array(2 * server.limits.message + 1)), { code: 'too_large' })
  await room.channel('file').send('small')
})

test('waits longer from try to try, and returns', async (t) => {
  const { room, server } = await setUp(t)
  server.refusal = { status: 503, headers: {}, detail: 'starting' }
  server.dials.length = 0
  server.drop()
  await until(() => server.dials.length >= 3)
  const [a, b, c] = server.dials
  assert.ok(b - a >= 450, `second try after ${b - a} ms`)
  assert.ok(c - b >= 950, `third try after ${c - b} ms`)
  server.refusal = null
  await next(room, 'open')
})

test('heeds Retry-After', async (t) => {
  const { room, server } = await setUp(t)
  server.refusal = { status: 503, headers: { 'Retry-After': '2' }, detail: 'starting' }
  server.dials.length = 0
  server.drop()
  await until(() => server.dials.length === 2)
  assert.ok(server.dials[1] - server.dials[0] >= 1950)
  server.refusal = null
  await next(room, 'open')
})

test('a refusal for good ends the room', async (t) => {
  const { room, server } = await setUp(t)
  server.holdAcks = true
  const pending = assert.rejects(room.channel('chat').send('x'), { code: 'not_found' })
  await until(() => server.sessions[0].lastSeq === 1)
  server.rooms.clear()
  const final = next(room, 'close', ({ final }) => final)
  server.drop()
  assert.equal((await final)[0].error.code, 'not_found')
  await pending
  await assert.rejects(room.channel('chat').send('x'), { code: 'not_found' })
})

test('leaving while it reconnects', async (t) => {
  const { room, server } = await setUp(t)
  server.refusal = { status: 503, headers: {} }
  server.drop()
  await next(room, 'close')
  const pending = assert.rejects(room.channel('chat').send('x'), { code: 'left' })
  await room.leave()
  await pending
  const { length } = server.dials
  server.refusal = null
  await new Promise((resolve) => setTimeout(resolve, 600)) // it would have dialled
  assert.equal(server.dials.length, length)
})

test('a network that is gone without a word is noticed', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const { room, server } = await setUp(t)
  const closed = next(room, 'close')
  for (let beat = 0; beat < 3; beat++) {
    t.mock.timers.tick(20_000)
    await room.ping() // the answer to the beat's own ping came before this one's
  }
  assert.equal(server.dials.length, 1, 'a server that answers is not left')
  server.silent = true
  const ticking = (async () => {
    while (server.dials.length === 1) {
      t.mock.timers.tick(20_000)
      await new Promise(setImmediate)
    }
  })()
  assert.equal((await closed)[0].reason, 'the server is silent')
  server.silent = false
  await ticking
  await next(room, 'open')
})
