// A session that lives over a reload of its page, with a browser's events and storage played by Node's.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { join, next, startServer, until } from './helpers.js'
import { newId } from './server.js'

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

/** The page of a room ends, and its connection. */
function end(room, server, tell) {
  tell('pagehide', false)
  room.on('close', () => room.leave())
  const closed = next(room, 'close', ({ final }) => final)
  server.peers.get(room.id).ws.terminate()
  return closed
}

for (const protocols of [['msgpack', 'msgpack'], ['json', 'json'], ['msgpack', 'json']]) {
  test(`persist: what was not acknowledged goes on from the next page, once: ${protocols}`, async (t) => {
    const { tell } = open(t)
    const server = await startServer(t)
    const got = []
    server.addPeer('browser', ({ data, meta }) => got.push([data, meta]))
    const first = await join(server.url, 'demo', { persist: true, protocol: protocols[0] })
    const chat = first.channel('chat')
    const swallow = (sends) => sends.map((send) => send.catch(() => {}))
    server.holdAcks = true
    swallow([chat.send('had'), chat.send(new Uint8Array([1, 2, 3]), null, { name: 'a' })])
    await until(() => got.length === 2)
    server.silent = true
    swallow([chat.send({ $bin: 'no bytes', n: -1.5 }), chat.send('é')])
    await end(first, server, tell)
    server.silent = server.holdAcks = false

    const second = await join(server.url, 'demo', { persist: true, protocol: protocols[1] })
    t.after(() => second.leave())
    assert.equal(second.id, first.id)
    await second.channel('chat').send('last')
    assert.deepEqual(
      got.map(([data, meta]) => [data instanceof Uint8Array ? [...data] : data, meta ?? null]),
      [['had', null], [[1, 2, 3], { name: 'a' }], [{ $bin: 'no bytes', n: -1.5 }, null], ['é', null], ['last', null]], // prettier-ignore
    )
  })
}

test('persist: 1 MiB of sends at most, the first ones', async (t) => {
  const { kept, tell } = open(t)
  const server = await startServer(t)
  const first = await join(server.url, 'demo', { persist: true })
  server.silent = true
  for (let n = 0; n < 12; n++) first.channel('chat').send(`${n}`.repeat(100_000 / `${n}`.length)).catch(() => {})
  await end(first, server, tell)
  const [ticket] = kept.values()
  assert.equal(JSON.parse(ticket).sends.length, 10)
  server.silent = false
})

test('persist: where the storage has no place for the sends, the session goes on without them', async (t) => {
  const { tell } = open(t)
  const { setItem } = sessionStorage
  sessionStorage.setItem = (key, value) => {
    if (value.length > 5_000_000) throw new DOMException('full', 'QuotaExceededError')
    setItem(key, value)
  }
  const server = await startServer(t)
  const first = await join(server.url, 'demo', { persist: true })
  server.silent = true
  first.channel('chat').send('\0'.repeat(900_000)).catch(() => {}) // 5.4 MB in JSON
  await end(first, server, tell)
  server.silent = false
  const second = await join(server.url, 'demo', { persist: true })
  t.after(() => second.leave())
  assert.equal(second.id, first.id)
})

test('persist: a ticket of an earlier version of this file', async (t) => {
  const { kept, tell } = open(t)
  const server = await startServer(t)
  const first = await join(server.url, 'demo', { persist: true })
  await end(first, server, tell)
  for (const [key, ticket] of kept) {
    const { resume, ack, transfer } = JSON.parse(ticket)
    kept.set(key, JSON.stringify({ resume, ack, transfer }))
  }
  const second = await join(server.url, 'demo', { persist: true })
  t.after(() => second.leave())
  assert.equal(second.id, first.id)
})

test('persist: the refusal of a send of the page before is told, and its transfers are cancelled', async (t) => {
  const { tell } = open(t)
  const server = await startServer(t)
  const other = await join(server.url, 'demo')
  t.after(() => other.leave())
  const begun = next(other.channel('file'), 'transfer', (transfer) => transfer.stream()) // and nobody reads it
  const first = await join(server.url, 'demo', { persist: true })
  const swallow = () => {}
  first.channel('file').send(new Blob([new Uint8Array(8_000_000)])).catch(swallow)
  const [{ signal }] = await begun
  server.holdAcks = true
  first.channel('chat').send('refused').catch(swallow)
  await end(first, server, tell)

  const second = await join(server.url, 'demo', { persist: true })
  t.after(() => second.leave())
  await until(() => signal.aborted)
  const error = next(second, 'error')
  const session = server.sessions.find(({ id }) => id === second.id)
  await until(() => session.lastSeq > 0)
  session.tell({ op: 'error', code: 'too_large', message: 'no', seq: session.lastSeq })
  assert.equal((await error)[0].code, 'too_large')
  server.holdAcks = false
})

test('persist: a join that was not answered in time leaves the session, and what it was to do, to the next', async (t) => {
  const { tell } = open(t)
  const server = await startServer(t)
  const got = []
  server.addPeer('browser', ({ data }) => got.push(data))
  const other = await join(server.url, 'demo')
  t.after(() => other.leave())
  const begun = next(other.channel('file'), 'transfer', (transfer) => transfer.stream()) // and nobody reads it
  const first = await join(server.url, 'demo', { persist: true })
  first.channel('file').send(new Blob([new Uint8Array(8_000_000)])).catch(() => {})
  const [{ signal }] = await begun
  server.silent = true
  first.channel('chat').send('kept').catch(() => {})
  await end(first, server, tell)
  await assert.rejects(join(server.url, 'demo', { persist: true, timeout: 100 }), { code: 'timeout' })
  server.silent = false

  const second = await join(server.url, 'demo', { persist: true })
  t.after(() => second.leave())
  assert.equal(second.id, first.id)
  await until(() => got.length === 1 && signal.aborted, 'the send goes on, and the transfer is cancelled')
  assert.deepEqual(got, ['kept'])
})

test('persist: a send that cannot be saved yet does not hold up those behind it', async (t) => {
  const { kept, tell } = open(t)
  const server = await startServer(t)
  const first = await join(server.url, 'demo', { persist: true })
  const chat = first.channel('chat')
  for (const value of [new Blob(['is being read']), 'behind it']) chat.send(value).catch(() => {})
  await end(first, server, tell)
  const { sends } = JSON.parse([...kept.values()][0])
  assert.deepEqual(sends.map((text) => JSON.parse(text).data), ['behind it'])
})

const secret = { passphrase: 'the passphrase' }

for (const changed of ['nothing', 'id', 'mesh']) {
  test(`persist: an encrypted send of the page before, when what changes is ${changed}`, async (t) => {
    const { kept, tell } = open(t)
    const server = await startServer(t)
    const bob = await join(server.url, 'demo')
    t.after(() => bob.leave())
    const got = []
    bob.channel('secret', secret).on('message', (data) => got.push(data))
    bob.channel('chat').on('message', (data) => got.push(data))
    bob.on('error', (error) => assert.fail(error))
    const first = await join(server.url, 'demo', { persist: true })
    await first.channel('secret', secret).send('before')
    await until(() => got.length === 1)
    const session = server.peers.get(first.id)
    server.silent = true
    first.channel('chat').send('plain').catch(() => {})
    first.channel('secret').send('sealed').catch(() => {})
    await until(() => {
      tell('pagehide', true)
      const { sends } = JSON.parse([...kept.values()][0])
      tell('pageshow', true)
      return sends.length === 2
    }, 'it is sealed')
    await end(first, server, tell)
    await assert.rejects(join(server.url, 'demo', { persist: true, timeout: 50 })) // hands it on
    if (changed === 'id') server.part(session)
    if (changed === 'mesh') server.mesh = newId()
    server.silent = false

    const second = await join(server.url, 'demo', { persist: true })
    t.after(() => second.leave())
    const errors = []
    second.on('error', ({ code }) => errors.push(code))
    await second.channel('secret', secret).send('after')
    await until(() => got.at(-1) === 'after')
    assert.deepEqual(got, changed === 'nothing' ? ['before', 'plain', 'sealed', 'after'] : ['before', 'plain', 'after'])
    assert.deepEqual(errors, changed === 'nothing' ? [] : ['unreadable'])
  })
}

test('persist: an encrypted message that was not decrypted yet comes again to the next page', async (t) => {
  const { kept, tell } = open(t)
  const server = await startServer(t)
  const alice = await join(server.url, 'demo')
  t.after(() => alice.leave())
  const first = await join(server.url, 'demo', { persist: true })
  const peer = server.addPeer()
  const session = server.peers.get(first.id)
  const acknowledged = () => session.received.filter(({ op }) => op === 'ack').at(-1)?.seq ?? 0
  const got = []
  const listen = (room) => {
    room.channel('secret', secret).on('message', (data) => got.push(data))
    room.channel('chat').on('message', (data) => got.push(data))
  }
  listen(first)
  peer.say('chat', 'before')
  await until(() => acknowledged() === server.lastSeq)
  const had = acknowledged()

  let decrypt
  const held = new Promise((resolve) => (decrypt = resolve))
  const { subtle } = crypto
  subtle.decrypt = (...args) => held.then(() => Object.getPrototypeOf(subtle).decrypt.apply(subtle, args))
  t.after(() => delete subtle.decrypt)
  await alice.channel('secret', secret).send('sealed')
  for (let n = 0; n < 40; n++) peer.say('chat', n) // as many as are acknowledged at once
  await until(() => got.length === 41)
  tell('pagehide', true)
  assert.equal(JSON.parse([...kept.values()][0]).ack, had)
  tell('pageshow', true)
  server.drop()
  await next(first, 'open')
  await first.ping()
  assert.equal(session.received.findLast(({ op }) => op === 'hello').ack, had)
  assert.equal(acknowledged(), had)
  assert.equal(got.length, 41, 'nothing is delivered twice')
  decrypt()
  await until(() => acknowledged() === server.lastSeq)
  assert.equal(got.at(-1), 'sealed')
  await first.leave()
})
