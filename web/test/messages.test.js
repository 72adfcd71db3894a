// What is sent arrives equal, in both encodings and between them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { next, setUp, until } from './helpers.js'

const values = {
  text: 'grüße 👋',
  'empty text': '',
  number: -12.5,
  'large integer': 2 ** 53 - 1,
  boolean: false,
  null: null,
  array: [1, 'two', [3]],
  map: { text: 'hi', nested: { deep: [null, true] } },
  'a map that looks like bytes': { $bin: 'AAEC' },
  'a map that looks like an escape': { $map: { $bin: 'AAEC' } },
  bytes: new Uint8Array([0, 1, 254, 255]),
  'no bytes': new Uint8Array(0),
}

for (const [from, to] of [
  ['msgpack', 'json'],
  ['json', 'msgpack'],
  ['json', 'json'],
  ['msgpack', 'msgpack'],
]) {
  test(`values from ${from} to ${to}`, async (t) => {
    const { room: alice, join } = await setUp(t, { protocol: from })
    const bob = await join({ protocol: to })
    for (const [name, value] of Object.entries(values)) {
      const arrival = next(bob.channel('chat'), 'message')
      await alice.channel('chat').send(value)
      const [data, peerId] = await arrival
      assert.deepEqual(data, value, name)
      assert.equal(peerId, alice.id)
    }
  })

  test(`a large binary with meta from ${from} to ${to}`, async (t) => {
    const { room: alice, join } = await setUp(t, { protocol: from })
    const bob = await join({ protocol: to })
    const bytes = Uint8Array.from({ length: 1_500_000 }, (_, at) => (at * 31) % 251)
    const arrival = next(bob.channel('file'), 'message')
    await alice.channel('file').send(bytes, null, { name: 'a.bin' })
    const [data, , meta] = await arrival
    assert.ok(data instanceof Uint8Array)
    assert.ok(Buffer.from(data).equals(bytes))
    assert.equal(data.buffer.byteLength, bytes.length, 'the buffer holds the data alone')
    assert.deepEqual(meta, { name: 'a.bin' })
  })
}

test('everything that holds bytes is sent as bytes', async (t) => {
  const { room: alice, join } = await setUp(t)
  const bob = await join()
  const backing = Uint8Array.from([9, 1, 2, 3, 9])
  const forms = {
    ArrayBuffer: backing.buffer.slice(1, 4),
    'part of a buffer': backing.subarray(1, 4),
    DataView: new DataView(backing.buffer, 1, 3),
    Buffer: Buffer.from([1, 2, 3]),
    Blob: new Blob([backing.subarray(1, 4)]),
  }
  for (const [name, form] of Object.entries(forms)) {
    const arrival = next(bob.channel('file'), 'message')
    await alice.channel('file').send(form)
    assert.deepEqual([...(await arrival)[0]], [1, 2, 3], name)
  }
  const arrival = next(bob.channel('file'), 'message')
  await alice.channel('file').send(new Float64Array([0.5]))
  assert.deepEqual((await arrival)[0], new Uint8Array(new Float64Array([0.5]).buffer))
})

test('both encodings say what JSON says', async (t) => {
  const { room, join } = await setUp(t)
  const bob = await join()
  for (const protocol of ['msgpack', 'json']) {
    const alice = await join({ protocol })
    const arrival = next(bob.channel('chat'), 'message')
    await alice.channel('chat').send({ at: new Date(0), gone: undefined, nan: NaN, lone: '\ud800!', pair: '😀' })
    assert.deepEqual((await arrival)[0], { at: '1970-01-01T00:00:00.000Z', nan: null, lone: '\ufffd!', pair: '😀' })
  }
})

test('data that cannot be said is refused, and costs nothing else', async (t) => {
  const { room, server } = await setUp(t)
  const circle = {}
  circle.circle = circle
  const bad = [undefined, () => {}, 1n, circle, { bytes: new Uint8Array(1) }, [Buffer.from('x')], { blob: new Blob([]) }]
  for (const value of bad) {
    await assert.rejects(room.channel('chat').send(value), { name: 'RoomError', code: 'bad_data' })
  }
  await assert.rejects(room.channel('chat').send('x', null, circle), { code: 'bad_data' })
  await assert.rejects(room.channel('chat').send('x', 42), { code: 'bad_message' })
  await room.channel('chat').send('fine')
  assert.equal(server.sessions[0].received.filter(({ op }) => op === 'send').length, 1)
})

test('messages arrive in the order of send, whatever they are made of', async (t) => {
  const { room: alice, join } = await setUp(t)
  const bob = await join()
  const seen = []
  bob.channel('mix').on('message', (data) => seen.push(typeof data === 'string' ? data : 'blob'))
  await Promise.all(['a', new Blob(['x']), 'b', new Blob(['y']), 'c'].map((data) => alice.channel('mix').send(data)))
  await until(() => seen.length === 5)
  assert.deepEqual(seen, ['a', 'blob', 'b', 'blob', 'c'])
})

test('data is read before send returns', async (t) => {
  const { room: alice, join } = await setUp(t)
  const bob = await join()
  const arrivals = [next(bob.channel('a'), 'message'), next(bob.channel('b'), 'message')]
  const map = { n: 1 }
  const bytes = new Uint8Array([1])
  const sends = [alice.channel('a').send(map), alice.channel('b').send(bytes)]
  map.n = bytes[0] = 2
  await Promise.all(sends)
  assert.deepEqual((await arrivals[0])[0], { n: 1 })
  assert.deepEqual((await arrivals[1])[0], new Uint8Array([1]))
})

test('targets: one, several, nobody', async (t) => {
  const { room: alice, join } = await setUp(t)
  const [bob, carol] = [await join(), await join()]
  const seen = []
  bob.channel('chat').on('message', (data) => seen.push(`bob ${data}`))
  carol.channel('chat').on('message', (data) => seen.push(`carol ${data}`))
  await alice.channel('chat').send('1', bob.id)
  await alice.channel('chat').send('2', [carol.id, bob.id])
  await alice.channel('chat').send('3', [])
  await alice.channel('chat').send('4')
  await until(() => seen.length >= 5)
  assert.deepEqual(seen.sort(), ['bob 1', 'bob 2', 'bob 4', 'carol 2', 'carol 4'])
})

test('progress of a send, for each recipient', async (t) => {
  const { room: alice, join } = await setUp(t)
  const bob = await join()
  const told = []
  await alice.channel('file').send(new Uint8Array(10), bob.id, { id: 7 }, (fraction, peerId, meta) => told.push([fraction, peerId, meta]))
  await until(() => told.length === 2)
  assert.deepEqual(told, [
    [0.5, bob.id, { id: 7 }],
    [1, bob.id, { id: 7 }],
  ])
})

test('progress of a message that arrives', async (t) => {
  const { room, server } = await setUp(t)
  const progress = next(room.channel('file'), 'progress')
  server.sessions[0].tell({ op: 'progress', channel: 'file', peer: 'somebody', fraction: 0.25, meta: { name: 'a' } })
  assert.deepEqual(await progress, [0.25, 'somebody', { name: 'a' }])
})

test('a recipient that was not reached is told by the room', async (t) => {
  const { room } = await setUp(t)
  const result = next(room, 'result')
  await room.channel('chat').send('hello', 'nobody', { id: 1 })
  assert.deepEqual(await result, [{ peer: 'nobody', error: 'unknown_peer', message: 'no peer nobody', channel: 'chat', meta: { id: 1 } }])
})

test('what the server says again after resuming is not told again', async (t) => {
  const { room, server } = await setUp(t)
  const told = []
  room.on('result', ({ error }) => told.push(error))
  await room.channel('chat').send('x', { to: [], progress: (fraction, peer) => told.push(`${peer} ${fraction}`) })
  const [session] = server.sessions
  for (let n = 0; n < 2; n++) {
    session.tell({ op: 'progress', seq: 1, peer: 'a', fraction: 1 })
    session.tell({ op: 'result', seq: 1, peer: 'b', error: 'gone', message: 'gone' })
  }
  await room.ping()
  assert.deepEqual(told, ['a 1', 'gone'])
})

test('a send that the server refuses rejects, and the next one does not', async (t) => {
  const { room } = await setUp(t)
  await assert.rejects(room.channel('refused').send('x'), { code: 'channel_name', message: 'channel: refused' })
  await room.channel('chat').send('x')
})

test('channel names', async (t) => {
  const { room } = await setUp(t)
  assert.equal(room.channel('twelve-bytes'), room.channel('twelve-bytes'))
  for (const name of ['', 'thirteen byte', 'größeräß-12', '@_signal']) {
    assert.throws(() => room.channel(name), { code: 'channel_name' }, name)
  }
})
