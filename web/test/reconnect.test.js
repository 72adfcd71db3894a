// A lost socket: the session goes on, or another begins.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { next, setUp, until } from './helpers.js'

function describe(event, arg, type) {
  if (event === 'close') return `close ${arg.final ? 'final' : 'for now'}`
  if (event !== 'state') return `${event} ${type ?? arg}`
  return `state ${arg.status}${arg.status === 'reconnecting' ? (arg.next ? ', waits' : ', tries') : ''}`
}

/** Everything that a room tells, as text. */
function diary(room) {
  const lines = []
  for (const event of ['state', 'session:lost', 'open', 'close', 'peer:join', 'peer:leave']) {
    room.on(event, (arg, type) => lines.push(describe(event, arg, type)))
  }
  return lines
}

test('a lost connection is resumed: same id, and nobody left', async (t) => {
  const { room, server } = await setUp(t)
  const { id } = room
  const [superpeer] = server.peers.keys()
  await new Promise((resolve) => setTimeout(resolve)) // the first joins are told
  const lines = diary(room)
  const closed = next(room, 'close')
  const opened = next(room, 'open')
  server.drop()
  assert.deepEqual(await closed, [{ code: 1006, reason: '', final: false }])
  assert.equal(room.state.status, 'reconnecting')
  assert.deepEqual(room.getPeers(), { [superpeer]: { type: 'superpeer' } })
  await assert.rejects(room.ping(), { code: 'disconnected' })
  assert.deepEqual(await opened, [id])
  assert.deepEqual(room.state, { status: 'open', transport: 'websocket' })
  await room.channel('chat').send('again')
  assert.deepEqual(lines, ['state reconnecting, waits', 'close for now', 'state reconnecting, tries', 'state open', `open ${id}`])
})

test('who came and went meanwhile is told after', async (t) => {
  const { room, server } = await setUp(t)
  const leaving = server.addPeer()
  await until(() => room.getPeers()[leaving.id])
  const lines = diary(room)
  server.drop()
  await next(room, 'close')
  server.peers.delete(leaving.id)
  const coming = server.addPeer('session')
  await next(room, 'peer:join')
  assert.deepEqual(lines.slice(3), [`peer:leave ${leaving.id}`, 'state open', `open ${room.id}`, 'peer:join session'])
  assert.deepEqual(room.getPeers()[coming.id], { type: 'session' })
})

for (const reason of ['expired', 'overflow', 'unknown']) {
  test(`a session that is lost: ${reason}`, async (t) => {
    const { room, server } = await setUp(t)
    const before = room.id
    await room.ping() // the first joins are told
    const lines = diary(room)
    server.lose(reason)
    await next(room, 'open')
    assert.notEqual(room.id, before)
    await until(() => lines.length === 8)
    assert.deepEqual(lines, [
      'state reconnecting, waits',
      'close for now',
      'state reconnecting, tries',
      `session:lost ${reason}`,
      'peer:leave superpeer',
      'state open',
      `open ${room.id}`,
      'peer:join superpeer',
    ])
    await room.channel('chat').send('again')
  })
}

test('messages that came meanwhile come after, once, and are acknowledged', async (t) => {
  const { room, server, join } = await setUp(t)
  const other = await join()
  const seen = []
  room.channel('chat').on('message', (data) => seen.push(data))
  const [session] = server.sessions.filter(({ id }) => id === room.id)
  await Promise.all(Array.from({ length: 100 }, (_, n) => other.channel('chat').send(n)))
  await until(() => seen.length === 100 && session.unacknowledged.length === 0)
  assert.ok(session.received.filter(({ op }) => op === 'ack').length <= 100 / 32 + 2, 'not each by itself')

  const acks = () => session.received.filter(({ op }) => op === 'ack').length
  const before = acks()
  for (let n = 0; n < 4; n++) server.deliver(server.peers.get(other.id), { channel: 'bulk', data: 'x'.repeat(16_384) })
  await until(() => session.unacknowledged.length === 0)
  assert.equal(acks(), before + 4, 'large ones each by itself')

  server.silent = true // acknowledgements are lost
  for (let n = 100; n < 110; n++) server.deliver(server.peers.get(other.id), { channel: 'chat', data: n })
  await until(() => seen.length === 110)
  session.ws.terminate()
  await next(room, 'close')
  for (let n = 110; n < 120; n++) server.deliver(server.peers.get(other.id), { channel: 'chat', data: n })
  server.silent = false
  await until(() => seen.length === 120)
  assert.deepEqual(
    seen,
    Array.from({ length: 120 }, (_, n) => n),
  )
  const hello = session.received.findLast(({ op }) => op === 'hello')
  assert.equal(hello.ack, 114)
  assert.equal(hello.resume, session.token)
  await until(() => session.unacknowledged.length === 0)
})

test('the history comes first, marked, and after a lost session only what we do not have', async (t) => {
  const { room: alice, server, join } = await setUp(t)
  for (let n = 0; n < 5; n++) await alice.channel('chat').send(n)
  const bob = await join({ history: 3 })
  const seen = []
  bob.channel('chat').on('message', (data, peerId, meta, history) => seen.push([data, history]))
  await alice.channel('chat').send(5)
  await until(() => seen.length === 4)
  const known = [[2, true], [3, true], [4, true], [5, false]] // prettier-ignore
  assert.deepEqual(seen, known)
  server.lose('expired')
  await Promise.all([next(alice, 'open'), next(bob, 'open')])
  await alice.channel('chat').send(6)
  await until(() => seen.length === 5)
  assert.deepEqual(seen, [...known, [6, false]])
})

test('a connection that another has taken over is not resumed', async (t) => {
  const { room, server } = await setUp(t)
  const { length } = server.dials
  const closed = next(room, 'close')
  server.sessions[0].ws.close(4000, 'resumed elsewhere')
  const [{ code, final, error }] = await closed
  assert.deepEqual([code, final, error.code], [4000, true, 'resumed_elsewhere'])
  assert.equal(room.state.status, 'closed')
  assert.equal(room.state.error.code, 'resumed_elsewhere')
  await new Promise((resolve) => setTimeout(resolve, 600)) // it would have dialled
  assert.equal(server.dials.length, length)
})

for (const [code, final] of [[1000, true], [1001, false], [1002, true], [1003, true], [1008, true], [1011, false], [1013, false]]) { // prettier-ignore
  test(`closed with ${code}, which ${final ? 'is' : 'is not'} the end`, async (t) => {
    const { room, server } = await setUp(t)
    const closed = next(room, 'close')
    const opened = next(room, 'open')
    server.sessions[0].ws.close(code, 'the reason')
    const [closing] = await closed
    assert.deepEqual([closing.code, closing.reason, closing.final], [code, 'the reason', final])
    if (!final) await opened
  })
}

test('what was not acknowledged is sent again, in order', async (t) => {
  const { room, server } = await setUp(t)
  server.holdAcks = true
  const sends = ['a', 'b'].map((text) => room.channel('chat').send(text))
  await until(() => server.sessions[0].lastSeq === 2)
  const opened = next(room, 'open')
  server.drop()
  await next(room, 'close')
  server.holdAcks = false
  sends.push(room.channel('chat').send('c'), room.channel('chat').send(new Blob(['d'])))
  await opened
  await Promise.all(sends)
  const again = server.sessions[0].received.filter(({ op }) => op === 'send').map(({ seq, data }) => `${seq} ${data}`)
  assert.deepEqual(again, ['1 a', '2 b', '3 c', '4 d'], 'the server had a and b already, and said so')
})

test('what the server did not get is sent again, with the same seq', async (t) => {
  const { room, server } = await setUp(t)
  const seen = []
  const [session] = server.sessions
  server.addPeer('browser', ({ data }) => seen.push(data))
  server.silent = true
  const sends = ['a', 'b'].map((text) => room.channel('chat').send(text))
  session.ws.terminate()
  server.silent = false
  await Promise.all(sends)
  assert.deepEqual(
    session.received.filter(({ op }) => op === 'send').map(({ seq, data }) => [seq, data]),
    [
      [1, 'a'],
      [2, 'b'],
    ],
  )
  assert.deepEqual(seen, ['a', 'b'])
})

test('a send that is not wanted any more is withdrawn, if it did not go out', async (t) => {
  const { room, server } = await setUp(t)
  const abort = new AbortController()
  const send = (data) => room.channel('chat').send(data, { signal: abort.signal })
  server.silent = true
  const gone = send('gone')
  server.drop()
  await next(room, 'close')
  const waiting = ['waits', new Blob(['waits too'])].map((data) => assert.rejects(send(data), { name: 'AbortError' }))
  abort.abort()
  await Promise.all(waiting)
  server.silent = false
  await gone
  await room.channel('chat').send('next')
  const sends = server.sessions[0].received.filter(({ op }) => op === 'send').map(({ data }) => data)
  assert.deepEqual(sends, ['gone', 'next'])
})

test('after a lost session all that was not acknowledged is sent again', async (t) => {
  const { room, server } = await setUp(t)
  await room.channel('chat').send('done')
  server.silent = true
  const sends = ['a', 'b'].map((text) => room.channel('chat').send(text))
  server.silent = false
  server.lose('unknown')
  await Promise.all(sends)
  const again = server.sessions[0].received.filter(({ op }) => op === 'send').map(({ data }) => data)
  assert.deepEqual(again, ['a', 'b'])
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

test('says when it will try again, how often it has, and why', async (t) => {
  const { room, server } = await setUp(t)
  server.refusal = { status: 503, headers: {}, detail: 'starting' }
  const states = []
  room.on('state', (state) => states.push({ ...state, in: state.next && state.next - Date.now() }))
  server.drop()
  await until(() => states.length === 5)
  assert.deepEqual(
    states.map(({ status, attempt, next, reason }) => [status, attempt, next > 0, reason]),
    [1, 1, 2, 2, 3].map((attempt, n) => ['reconnecting', attempt, n % 2 === 0, n < 2 ? 'the connection was lost' : 'starting']),
  )
  for (const [n, least] of [[0, 250], [2, 500], [4, 1000]]) assert.ok(states[n].in > least - 20 && states[n].in <= 2 * least, states[n].in) // prettier-ignore
  await room.leave()
  assert.equal(room.state.error.code, 'left')
})

test('leaving as soon as the connection is lost', async (t) => {
  const { room, server } = await setUp(t)
  const { length } = server.dials
  let took
  const left = new Promise((resolve) => {
    room.on('state', ({ status }) => {
      if (status !== 'reconnecting') return
      const began = performance.now()
      resolve(room.leave().then(() => (took = performance.now() - began)))
    })
  })
  server.drop()
  await left
  assert.ok(took < 100, `it took ${took} ms`) // the first try would have come after 250
  assert.equal(room.state.status, 'closed')
  assert.equal(server.dials.length, length)
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
