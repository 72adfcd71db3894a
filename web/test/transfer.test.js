// Payloads above limits.message, in both roles.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { next, setUp, until } from './helpers.js'

const noise = (size) => Uint8Array.from({ length: size }, (_, at) => (at * 31 + (at >> 8)) % 251)
const big = noise(1_000_000)
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex')

/** Alice and Bob, with a server whose messages are small. */
async function pair(t, options) {
  const { room: alice, server, join } = await setUp(t, options)
  server.limits = { ...server.limits, message: 10_000, window: 131_072 }
  await reconnect(alice, server) // limits come with the welcome
  const bob = await join()
  const session = (room) => server.peers.get(room.id)
  return { alice, bob, server, join, session }
}

async function reconnect(room, server) {
  const opened = next(room, 'open')
  server.peers.get(room.id).ws.terminate()
  await opened
}

/** Fails unless the fractions rise, and end with exactly 1. */
function rises(fractions, least = 2) {
  assert.ok(fractions.length >= least, `only ${fractions}`)
  assert.deepEqual(
    fractions,
    fractions.toSorted((a, b) => a - b),
  )
  assert.equal(new Set(fractions).size, fractions.length, 'each once')
  assert.equal(fractions.at(-1), 1)
}

for (const protocol of ['msgpack', 'json']) {
  test(`every kind arrives whole, in ${protocol}`, async (t) => {
    const { alice, bob } = await pair(t, { protocol })
    const payloads = {
      bytes: [big, big],
      ArrayBuffer: [big.buffer, big],
      Blob: [new Blob([big]), big],
      text: ['grüße 👋 \ufeff'.repeat(5000), 'grüße 👋 \ufeff'.repeat(5000)],
      json: [{ lines: Array(50_000).fill('line') }, { lines: Array(50_000).fill('line') }],
    }
    for (const [name, [sent, expected]] of Object.entries(payloads)) {
      const arrival = next(bob.channel('file'), 'message')
      const [out, into] = [[], []]
      bob.channel('file').on('progress', (fraction) => into.push(fraction))
      await alice.channel('file').send(sent, { meta: { name }, progress: (fraction, peer) => peer === bob.id && out.push(fraction) })
      const [data, peerId, meta, history] = await arrival
      assert.deepEqual([peerId, meta, history], [alice.id, { name }, false])
      if (expected === big) assert.ok(data instanceof Uint8Array && Buffer.from(data).equals(big), name)
      else assert.deepEqual(data, expected, name)
      rises(out)
      rises(into)
    }
  })
}

test('what is sent by the calls of GenosDB goes as a transfer too, to whom it is for', async (t) => {
  const { alice, bob, join, server } = await pair(t)
  const carol = await join()
  carol.channel('file').on('message', () => assert.fail('not for carol'))
  const arrival = next(bob.channel('file'), 'message')
  const told = []
  const result = next(alice, 'result')
  await alice.channel('file').send(big, [bob.id, 'nobody'], { n: 1 }, (fraction, peer, meta) => told.push([fraction, peer, meta.n]))
  await arrival
  assert.deepEqual(told.at(-1), [1, bob.id, 1])
  assert.deepEqual(await result, [{ peer: 'nobody', error: 'unknown_peer', message: 'no peer nobody', channel: 'file', meta: { n: 1 } }])
  await assert.rejects(alice.channel('file').send(big, 'nobody'), { code: 'nobody' })
  assert.equal(server.transfers.underWay.size, 0)
})

test('what is said on the wire: chunks within the window, hash, acknowledgements', async (t) => {
  const { alice, bob, session } = await pair(t)
  const arrival = next(bob.channel('file'), 'message')
  await alice.channel('file').send(big)
  await arrival
  const said = session(alice).received
  const begin = said.find(({ op }) => op === 'begin')
  assert.deepEqual([begin.size, begin.kind, begin.channel], [big.length, 'bytes', 'file'])
  let at = 0
  for (const { offset, data } of said.filter(({ op }) => op === 'chunk')) {
    assert.equal(offset, at)
    assert.ok(data.length <= 65_536)
    at += data.length
  }
  assert.equal(at, big.length)
  assert.equal(said.find(({ op }) => op === 'end').hash, sha256(big))
  let last = 0
  for (const { offset } of session(bob).received.filter(({ op, transfer }) => op === 'ack' && transfer)) {
    assert.ok(offset - last <= 65_536)
    last = offset
  }
  assert.equal(last, big.length)
})

test('the sender waits for acknowledgements', async (t) => {
  const { alice, bob, server, session } = await pair(t)
  const acks = []
  server.transfers.ack = (...args) => acks.push(args)
  bob.channel('file').on('message', () => {})
  const sending = alice.channel('file').send(big)
  const sent = () => session(alice).received.filter(({ op }) => op === 'chunk').reduce((sum, { data }) => sum + data.length, 0)
  await until(() => sent() === 131_072)
  await alice.ping()
  assert.equal(sent(), 131_072, 'the window is full')
  delete server.transfers.ack
  for (const args of acks.splice(0)) server.transfers.ack(...args)
  await sending
})

for (const who of ['alice', 'bob', 'both', 'both, and the server forgets']) {
  test(`goes on when the connection is lost: ${who}`, async (t) => {
    const { alice, bob, server, session } = await pair(t)
    const [out, into] = [[], []]
    const arrivals = []
    bob.channel('file').on('message', (data) => arrivals.push(data))
    let cut = false
    bob.channel('file').on('progress', (fraction) => {
      into.push(fraction)
      if (fraction < 0.4 || cut) return
      cut = true
      if (who !== 'bob') session(alice).ws.terminate()
      if (who !== 'alice') session(bob).ws.terminate()
      if (who.endsWith('forgets')) server.transfers.forget()
    })
    await alice.channel('file').send(big, { progress: (fraction) => out.push(fraction) })
    assert.equal(arrivals.length, 1)
    assert.ok(Buffer.from(arrivals[0]).equals(big))
    rises(out)
    rises(into)
    assert.deepEqual(server.transfers.faults, [])
    const sent = session(alice).received.filter(({ op }) => op === 'chunk').reduce((sum, { data }) => sum + data.length, 0)
    assert.ok(sent <= big.length + 2 * 131_072, `${sent} bytes were sent`)
    if (who !== 'bob') {
      const again = session(alice).received.filter(({ op }) => op === 'begin')[1]
      assert.ok(again.offset >= 200_000, `asked to go on from ${again.offset}`)
      assert.deepEqual([again.size, again.channel], [big.length, 'file'])
    }
  })
}

test('is sent anew when the session is lost', async (t) => {
  const { alice, bob, server } = await pair(t)
  const arrival = next(bob.channel('file'), 'message')
  const failed = next(bob.channel('file'), 'transfer').then(([{ signal }]) => signal)
  const halfway = next(bob.channel('file'), 'progress', (fraction) => fraction > 0.5)
  const sending = alice.channel('file').send(big)
  await halfway
  server.transfers.forget()
  server.lose('expired')
  assert.ok(Buffer.from((await arrival)[0]).equals(big))
  await sending
  assert.equal((await failed).reason.code, 'gone')
})

test('a transfer that was answered with end is answered again', async (t) => {
  const { alice, bob, server, session } = await pair(t)
  let messages = 0
  bob.channel('file').on('message', () => messages++)
  const { end } = server.transfers
  server.transfers.end = (who, message) => {
    if (!message.from) return end.call(server.transfers, who, message)
    // Bob's end is lost, with the server.
    server.transfers.end = end
    server.transfers.forget()
    session(alice).ws.terminate()
    session(bob).ws.terminate()
  }
  await alice.channel('file').send(big)
  assert.equal(messages, 1)
})

test('a payload that was changed on the way is not delivered', async (t) => {
  const { alice, bob, server } = await pair(t)
  bob.channel('file').on('message', () => assert.fail('delivered'))
  const { chunk } = server.transfers
  server.transfers.chunk = (who, message) => {
    message.data[0] ^= 1
    chunk.call(server.transfers, who, message)
  }
  const failed = next(bob.channel('file'), 'transfer')
  const result = next(alice, 'result')
  await assert.rejects(alice.channel('file').send(big), { code: 'nobody' })
  assert.equal((await result)[0].error, 'corrupt')
  assert.equal((await failed)[0].signal.reason.code, 'corrupt')
})

test('a stream gets the bytes as it reads, and holds the sender back', async (t) => {
  const { alice, bob, server, session } = await pair(t)
  bob.channel('file').on('message', () => assert.fail('not as a message'))
  let reader
  bob.channel('file').on('transfer', (transfer) => {
    assert.deepEqual([transfer.peer, transfer.size, transfer.kind, transfer.meta], [alice.id, big.length, 'bytes', { name: 'a' }])
    reader = transfer.stream().getReader()
  })
  const sending = alice.channel('file').send(big, { meta: { name: 'a' } })
  const sent = () => session(alice).received.filter(({ op }) => op === 'chunk').reduce((sum, { data }) => sum + data.length, 0)
  await until(() => sent() === 131_072)
  await alice.ping()
  assert.equal(sent(), 131_072, 'nobody reads yet')
  const pieces = []
  for (let read; !(read = await reader.read()).done;) {
    pieces.push(read.value)
    if (pieces.length === 5) session(bob).ws.terminate()
  }
  assert.ok(Buffer.concat(pieces).equals(big))
  await sending
  assert.deepEqual(server.transfers.faults, [])
})

test('a stream that is no longer read cancels, and one that is cut fails', async (t) => {
  const { alice, bob } = await pair(t)
  const offered = next(bob.channel('file'), 'transfer').then(([transfer]) => transfer)
  const streaming = next(bob.channel('file'), 'transfer', (transfer) => ((transfer.mine = transfer.stream()), true))
  const result = next(alice, 'result')
  const refused = assert.rejects(alice.channel('file').send(big), { code: 'nobody' })
  const [{ mine }] = await streaming
  await mine.cancel('enough')
  assert.deepEqual([(await result)[0].error, (await result)[0].message], ['refused', 'enough'])
  await refused
  assert.ok((await offered).signal.aborted)

  const second = next(bob.channel('file'), 'transfer', (transfer) => ((transfer.mine = transfer.stream()), true))
  const abort = new AbortController()
  const sending = alice.channel('file').send(big, { signal: abort.signal })
  const cut = (await second)[0]
  const reader = cut.mine.getReader()
  await reader.read()
  abort.abort()
  await assert.rejects(sending, { name: 'AbortError' })
  await assert.rejects(async () => { while (!(await reader.read()).done); }, { name: 'RoomError' }) // prettier-ignore
})

test('cancelled by its sender, under way, waiting, and while there is no connection', async (t) => {
  const { alice, bob, server, session } = await pair(t)
  bob.channel('file').on('message', () => assert.fail('delivered'))
  const transfers = []
  bob.channel('file').on('transfer', (transfer) => transfers.push(transfer))
  await assert.rejects(alice.channel('file').send(big, { signal: AbortSignal.abort() }), { name: 'AbortError' })

  const abort = new AbortController()
  const halfway = next(bob.channel('file'), 'progress', (fraction) => fraction > 0.3)
  const sending = assert.rejects(alice.channel('file').send(big, { signal: abort.signal }), { message: 'mine' })
  await halfway
  abort.abort(new Error('mine'))
  await sending
  await until(() => transfers[0].signal.aborted)

  const offline = new AbortController()
  const again = assert.rejects(alice.channel('file').send(big, { signal: offline.signal }), { name: 'AbortError' })
  await next(bob.channel('file'), 'progress')
  server.silent = true
  session(alice).ws.terminate()
  await next(alice, 'close')
  offline.abort()
  await again
  server.silent = false
  await until(() => transfers[1].signal.aborted)
  assert.equal(server.transfers.underWay.size, 0)
})

test('cancelled by its recipient, and refused where nobody listens', async (t) => {
  const { alice, bob } = await pair(t)
  let result = next(alice, 'result')
  await assert.rejects(alice.channel('file').send(big), { code: 'nobody' })
  assert.deepEqual([(await result)[0].error, (await result)[0].message], ['refused', 'nobody listens'])
  bob.channel('file').on('message', () => assert.fail('delivered'))
  bob.channel('file').on('transfer', (transfer) => transfer.cancel('not now'))
  result = next(alice, 'result')
  await assert.rejects(alice.channel('file').send(big), { code: 'nobody' })
  assert.equal((await result)[0].message, 'not now')
})

test('sixteen at a time, the others wait', async (t) => {
  const { alice, bob, server } = await pair(t)
  let arrived = 0
  bob.channel('file').on('message', () => arrived++)
  await Promise.all(Array.from({ length: 40 }, () => alice.channel('file').send(noise(20_000))))
  assert.equal(arrived, 40)
  assert.equal(server.transfers.mostAtOnce, 16)
})

test('what is put together in memory is bounded; a stream is not', async (t) => {
  const { bob, session } = await pair(t)
  bob.channel('file').on('message', () => {})
  const offer = { op: 'begin', from: 'somebody', channel: 'file', kind: 'bytes', size: 200 * 2 ** 20 }
  const answer = (transfer) => session(bob).received.find((message) => message.from === 'somebody' && message.transfer === transfer)
  for (const transfer of [1, 2]) session(bob).tell({ ...offer, transfer })
  await until(() => answer(2))
  assert.equal(answer(1).op, 'begin')
  assert.deepEqual([answer(2).op, answer(2).reason], ['cancel', 'too_large'])
  session(bob).tell({ op: 'cancel', transfer: 1, from: 'somebody' })
  session(bob).tell({ ...offer, transfer: 3 })
  bob.channel('file').on('transfer', (transfer) => transfer.stream())
  await until(() => answer(3))
  session(bob).tell({ ...offer, transfer: 4, size: 2 ** 40 })
  session(bob).tell({ ...offer, transfer: 5, offset: 100 })
  await until(() => answer(5))
  assert.deepEqual([answer(3).op, answer(4).op, answer(5).reason], ['begin', 'begin', 'unknown'])
})

test('a Blob that cannot be read', async (t) => {
  const { alice, bob } = await pair(t)
  bob.channel('file').on('message', () => assert.fail('delivered'))
  const blob = new Blob([big])
  blob.slice = () => ({ arrayBuffer: () => Promise.reject(new Error('the file was changed')) })
  const offered = next(bob.channel('file'), 'transfer')
  await assert.rejects(alice.channel('file').send(blob), { code: 'bad_data', message: /the file was changed/ })
  const [{ signal }] = await offered
  await until(() => signal.aborted)
})

test('the end of the room is the end of its transfers', async (t) => {
  const { alice, bob, join } = await pair(t)
  const carol = await join()
  const offers = [bob, carol].map((room) => next(room.channel('file'), 'transfer'))
  const halfway = next(bob.channel('file'), 'progress')
  const sending = assert.rejects(alice.channel('file').send(big), { code: 'left' })
  for (const offer of offers) await offer
  carol.leave()
  assert.equal((await halfway)[1], alice.id)
  await alice.leave()
  await sending
  const [[{ signal: bobs }], [{ signal: carols }]] = await Promise.all(offers)
  await until(() => bobs.aborted && carols.aborted)
  assert.deepEqual([bobs.reason.code, carols.reason.code], ['gone', 'left'])
})
