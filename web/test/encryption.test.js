// What is encrypted end to end is read by who has the passphrase, and by nobody else.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { next, setUp, until } from './helpers.js'

const bytes = (hex) => new Uint8Array(Buffer.from(hex, 'hex'))
const vectors = JSON.parse(readFileSync(new URL('../../docs/encryption.json', import.meta.url)))
const secret = { passphrase: 'the passphrase' }

// The vectors were made with other software; the Go client is tested with them too.
test('vectors are opened', async (t) => {
  const { server, join } = await setUp(t)
  for (const { passphrase, room: name, channel, data, from, kind, meta, payload } of vectors) {
    server.rooms.set(name, {})
    const sender = server.addPeer('superpeer')
    sender.id = from.at(-1)
    const room = await join({}, name)
    const arrival = next(room.channel(channel, { passphrase }), 'message')
    sender.say(channel, bytes(data))
    const [value, peer, beside] = await arrival
    const text = Buffer.from(payload, 'hex').toString()
    assert.deepEqual(value, { bytes: bytes(payload), text, json: kind === 'json' && JSON.parse(text) }[kind])
    assert.equal(peer, sender.id)
    assert.deepEqual(beside, meta)
  }
})

for (const [from, to] of [
  ['msgpack', 'json'],
  ['json', 'msgpack'],
]) {
  test(`values from ${from} to ${to}`, async (t) => {
    const { server, room: alice, join } = await setUp(t, { protocol: from })
    const bob = await join({ protocol: to })
    const seen = []
    server.addPeer('superpeer', ({ data, meta }) => seen.push({ data, meta }))
    const values = ['grüße 👋', '', { text: 'hi' }, [1, null], null, new Uint8Array([0, 10, 255]), new Uint8Array(0), new Uint8Array(1_000_000).fill(7)]
    const got = []
    bob.channel('secret', secret).on('message', (data, peer, meta) => got.push({ data, peer, meta }))
    const channel = alice.channel('secret', secret)
    assert.equal(alice.channel('secret'), channel, 'there is one of a name')
    const changing = new Uint8Array([1, 2, 3])
    const sent = [...values.map((value, at) => channel.send(value, { meta: { at } })), channel.send(changing), channel.send(new Blob(['blob']))]
    changing.fill(0)
    await Promise.all(sent)
    await until(() => got.length === values.length + 2)
    assert.deepEqual(got.slice(0, values.length), values.map((data, at) => ({ data, peer: alice.id, meta: { at } })), 'in order')
    assert.deepEqual(got.slice(-2).map(({ data }) => data), [new Uint8Array([1, 2, 3]), new Uint8Array(Buffer.from('blob'))])
    for (const { data, meta } of seen) {
      assert.ok(data instanceof Uint8Array && data[0] === 1)
      assert.ok(!Buffer.from(data).includes('grüße'))
      assert.equal(meta, undefined)
    }
    assert.equal(seen.length, got.length)
    assert.equal(new Set(seen.map(({ data }) => Buffer.from(data.subarray(1, 13)).toString('hex'))).size, seen.length, 'no nonce comes twice')
  })
}

test('what was not sealed by its sender is an error, and dropped', async (t) => {
  const { server, room: alice, join } = await setUp(t)
  const bob = await join()
  const eve = server.addPeer('superpeer')
  let sealed
  server.addPeer('superpeer', ({ data }) => (sealed ??= Uint8Array.from(data)))
  const [got, errors] = [[], []]
  bob.channel('secret', secret).on('message', (data) => got.push(data))
  bob.on('error', (error) => errors.push(error))
  await alice.channel('secret', secret).send('first')
  const changed = sealed.slice()
  changed[40] ^= 1
  for (const data of [sealed, changed, sealed.slice(0, 20), 'first', new Uint8Array(0), null]) eve.say('secret', data, { forged: true })
  await (await join()).channel('secret', { passphrase: 'another' }).send('other')
  await alice.channel('secret').send('second')
  await until(() => got.length === 2)
  assert.deepEqual(got, ['first', 'second'])
  assert.deepEqual(errors.map(({ code }) => code), Array(7).fill('unreadable'))
  assert.match(errors[0].message, new RegExp(`a message of ${eve.id}: it was sealed by ${alice.id}`))
})

test('a channel that is encrypted neither sends nor takes transfers', async (t) => {
  const { room: alice, join } = await setUp(t)
  const bob = await join()
  const results = []
  alice.on('result', ({ error, message }) => results.push({ error, message }))
  bob.channel('secret', secret).on('message', (data) => assert.equal(data, 'goes on'))
  await assert.rejects(alice.channel('secret').send(new Uint8Array(3_000_000)))
  assert.deepEqual(results, [{ error: 'refused', message: 'the channel is encrypted' }])
  const channel = alice.channel('secret', secret)
  await assert.rejects(channel.send(new Uint8Array(2_097_152)), { code: 'too_large' })
  await channel.send('goes on')
})

test('sends that wait are sealed under the id of the new session', async (t) => {
  const { server, room: alice, join } = await setUp(t)
  const bob = await join()
  const got = []
  bob.channel('secret', secret).on('message', (data, peer) => got.push({ data, peer }))
  bob.on('error', (error) => assert.fail(error))
  const channel = alice.channel('secret', secret)
  await channel.send('before')
  const { id } = alice
  server.drop()
  await until(() => alice.state.status === 'reconnecting')
  const sent = [channel.send('one'), channel.send(new Blob(['two'])), channel.send('three')]
  const session = server.sessions.find((session) => session.id === id)
  server.lost.set(session.token, 'expired')
  server.part(session)
  await Promise.all(sent)
  await until(() => got.length === 4)
  assert.notEqual(alice.id, id)
  assert.deepEqual(got.map(({ peer }) => peer), [id, alice.id, alice.id, alice.id])
  assert.deepEqual(got.map(({ data }) => (data instanceof Uint8Array ? Buffer.from(data).toString() : data)), ['before', 'one', 'two', 'three'])
})
