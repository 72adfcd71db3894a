// Strangers do their worst, while a page and a client talk: the server stays up, and the two do not
// miss a word.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { schnorr } from '@noble/curves/secp256k1.js'
import WebSocket from 'ws'
import { rootTopic, sign } from '../browser/signaling.js'
import { check } from '../lib/check.js'
import { Client } from '../lib/client.js'
import { meet, serverOf } from '../lib/presence.js'
import { stage } from '../lib/stage.js'
import { until, within } from '../lib/until.js'

const BOMB = 512 * 1024 * 1024
const channels = ['talk', 'chat']
const here = stage('badinput')

test('bad input costs nobody else anything', async t => {
  const page = await here.page('demo', { label: 'page', channels })
  const client = await here.client('demo', 'json', { label: 'client' })
  await meet([page, client])
  const talk = new Talk(page, client)
  const attack = async (name, run) => check(t, name, async () => {
    const before = talk.rounds
    await run()
    await until('the talk goes on', () => talk.failed ?? talk.rounds > before)
    if (talk.failed) throw talk.failed
    assert.ok(here.server.alive, 'the server is up')
  })

  const attacker = await here.open('attacker', 'attacker')
  await attacker.join('demo', { rtc: { relayUrls: [here.server.relay] } }, channels)
  await meet([attacker, client])
  const server = await serverOf(attacker)

  for (const [name, call, ...args] of [
    ['text frames', 'textFrames'],
    ['truncated and random frames', 'junkFrames'],
    ['frames with broken content', 'brokenContent'],
    ['messages that never end', 'endless'],
    ['a zip bomb', 'bomb', BOMB],
  ]) {
    await attack(`${name} on data channels`, async () => {
      const before = await memory(here.server)
      for (const peer of [server, client.id]) await attacker.ask(call, peer, ...args)
      // The links must survive it, as they do between browsers; a pong shows that all was read.
      for (const peer of [server, client.id]) await attacker.ping(peer)
      const grown = (await memory(here.server)) - before
      assert.ok(grown < 128, `the server grew by ${grown} MiB`)
    })
  }
  await attack('a good message after all that', async () => {
    await attacker.send('chat', { value: 'sorry' }, { to: client.id })
    await until('the client hears it', () => client.messages().some(({ data }) => data === 'string sorry'))
  })
  await attack('peers that offer and never connect', () =>
    attacker.ask('halfOpen', server, 'demo', here.server.relay, '', 300))
  await attack('junk to the relay', () => junkToRelay(here.server.relay))
  await attack('forged and stale events', () => forgedEvents(here.server.relay))
  await attack('thousands of subscriptions', () => subscriptions(here.server.relay))
  for (const codec of ['json', 'msgpack']) {
    await attack(`wrong types to a ${codec} session`, () => wrongTypes(codec))
    await attack(`no messages at all to a ${codec} session`, () => noMessages(codec))
    await attack(`a ${codec} session that does not stop`, () => tooManyErrors(codec))
  }
  await attack('an unknown room', async () => {
    const response = await fetch(`${here.server.url}/genosrtc/rooms/nowhere/ws`)
    assert.equal(response.status, 404)
    assert.match(response.headers.get('content-type'), /^application\/problem\+json/)
  })
  await attack('newcomers are still welcome', async () => {
    const newcomer = await here.page('demo', { label: 'newcomer', channels })
    await meet([newcomer, client])
    await newcomer.close()
  })
  await check(t, 'the talk was heard in full, in order and once', () => talk.end())
})

// Talk is two participants who send each other numbers, without a pause.
class Talk {
  rounds = 0
  failed = null
  #pair
  #ended = false
  #done

  constructor(...pair) {
    this.#pair = pair
    this.#done = this.#run().catch(error => (this.failed = error))
  }

  async #run() {
    while (!this.#ended) {
      for (const one of this.#pair) await within(`${one.label} sends`, one.send('talk', { value: this.rounds }))
      this.rounds++
      await sleep(20)
    }
  }

  async end() {
    this.#ended = true
    await this.#done
    if (this.failed) throw this.failed
    const all = Array.from({ length: this.rounds }, (_, i) => `json ${i}`)
    for (const [one, other] of [this.#pair, this.#pair.toReversed()]) {
      const heard = async () =>
        (await one.messages())
          .filter(({ channel, from }) => channel === 'talk' && from === other.id)
          .map(({ data }) => data)
      await until(`${one.label} has heard all`, async () => (await heard()).length >= all.length)
      assert.deepEqual(await heard(), all)
    }
  }
}

/** memory is what the server process occupies, in MiB. */
async function memory(server) {
  const status = await readFile(`/proc/${server.pid}/status`, 'utf8')
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)[1]) / 1024)
}

// dial opens a socket to the relay that collects what it is told.
async function dial(url) {
  const socket = new WebSocket(url)
  socket.heard = []
  socket.on('message', text => socket.heard.push(JSON.parse(text)))
  socket.on('error', () => {})
  await within('the relay takes a connection', new Promise(resolve => socket.once('open', resolve)))
  return socket
}

async function junkToRelay(url) {
  const junk = [
    '', 'junk', '{', '[]', '{}', 'null', '42', '"EVENT"', '[1]', '["EVENT"]', '["EVENT",null]', '["EVENT",{}]',
    '["EVENT",{"kind":"x","tags":7,"content":{},"created_at":"now"}]', '["REQ"]', '["REQ",5,{}]', '["REQ","a"]',
    '["REQ","b",{"kinds":"all"}]', '["REQ","c",{"#x":5,"since":"x"}]', '["CLOSE"]', '["CLOSE",{}]', '["AUTH",{}]',
    '['.repeat(20_000), `["REQ","d",{"#x":["${'x'.repeat(20_000)}"]}]`, `["EVENT",{"content":"${'x'.repeat(2_000_000)}"}]`,
  ]
  // Each on a socket of its own: the relay may close it.
  for (const text of junk) {
    const socket = await dial(url)
    socket.send(text)
    socket.send(Buffer.from(text), { binary: true })
    socket.close()
    await within('the socket closes', new Promise(resolve => socket.once('close', resolve)))
  }
}

async function forgedEvents(url) {
  const topic = rootTopic('app-sync-demo')
  const content = JSON.stringify({ peerId: 'ForgedForgedForged01' })
  const good = sign(topic, content)
  const other = sign(topic, JSON.stringify({ peerId: 'ForgedForgedForged02' }))
  const forged = {
    'another content': { ...good, content: other.content },
    'another signature': { ...good, sig: other.sig },
    'no signature': { ...good, sig: '' },
    'zeros as signature': { ...good, sig: '0'.repeat(128) },
    'another id': { ...good, id: other.id },
    'another key': { ...good, pubkey: Buffer.from(schnorr.getPublicKey(schnorr.utils.randomSecretKey())).toString('hex') },
    'a key that is no point': { ...good, pubkey: 'f'.repeat(64) },
  }
  const socket = await dial(url)
  for (const [name, event] of Object.entries(forged)) {
    socket.heard.length = 0
    socket.send(JSON.stringify(['EVENT', event]))
    const [, , ok, reason] = await until(`an event with ${name} is answered`, () => socket.heard.find(([op]) => op === 'OK'))
    assert.equal(ok, false, name)
    assert.match(reason, /^(invalid|blocked|error): /, name)
  }
  // What was refused was not remembered: the good event, with the same id, passes.
  socket.heard.length = 0
  socket.send(JSON.stringify(['EVENT', good]))
  const answer = await until('the good event is answered', () => socket.heard.find(([op]) => op === 'OK'))
  assert.equal(answer[2], true, answer[3])
  // Stale ones may be refused or carried, but must be answered.
  socket.heard.length = 0
  for (const when of [0, 1_000_000_000, 4_000_000_000]) socket.send(JSON.stringify(['EVENT', sign(topic, content, when)]))
  await until('stale events are answered', () => socket.heard.filter(([op]) => op === 'OK').length === 3)
  socket.close()
}

async function subscriptions(url) {
  const socket = await dial(url)
  for (let i = 0; i < 5000; i++) socket.send(JSON.stringify(['REQ', `s${i}`, { kinds: [20000 + (i % 10000)], '#x': [`t${i}`] }]))
  const answered = () => socket.readyState === WebSocket.CLOSED || socket.heard.length >= 5000
  await until('all are answered, or the socket is closed', answered, 60_000)
  const sockets = await Promise.all(Array.from({ length: 50 }, () => dial(url).catch(() => null)))
  sockets.forEach(other => other?.terminate())
  socket.terminate()
}

const wrong = [
  7, 'text', null, [], {}, { op: 5 }, { op: null }, { op: 'nonsense' }, { op: 'hello' },
  { op: 'send' }, { op: 'send', seq: 'one', channel: 'c', data: 1 }, { op: 'send', seq: -1, channel: 'c', data: 1 },
  { op: 'send', seq: 1.5, channel: 'c', data: 1 }, { op: 'send', seq: 1, channel: 5, data: 1 },
  { op: 'send', seq: 2, channel: '', data: 1 }, { op: 'send', seq: 3, channel: '@_leave', data: '' },
  { op: 'send', seq: 4, channel: 'thirteen-chars', data: 1 }, { op: 'send', seq: 5, channel: 'c' },
  { op: 'send', seq: 6, channel: 'c', data: 1, to: 5 }, { op: 'send', seq: 7, channel: 'c', data: 1, to: [[]] },
  { op: 'ping' }, { op: 'ping', id: 'x' }, { op: 'ack', seq: 'x' }, { op: 'pong', id: {} },
]

async function wrongTypes(codec) {
  for (const message of wrong) {
    const client = await Client.join(here.server.room('demo'), codec, { label: 'stranger' })
    client.say(message)
    const what = `${codec}: ${JSON.stringify(message)} is answered`
    if (message?.op === 'ack' || message?.op === 'pong') await client.ping()
    else await until(what, () => client.errors.length)
    if (message?.op !== 'hello') await client.ping()
    await (client.ended ? null : client.leave())
  }
}

// What is no message at all, and the other kind of WebSocket message.
async function noMessages(codec) {
  const client = await Client.join(here.server.room('demo'), codec, { label: 'stranger' })
  const binary = codec === 'msgpack'
  for (const junk of ['', '{"op":', '\xc1', '\xdf\xff\xff\xff\xff', '['.repeat(100_000), '\x91'.repeat(100_000)]) {
    const before = client.errors.length
    client.raw(Buffer.from(junk, 'latin1'), binary)
    await until(`${codec}: ${JSON.stringify(junk.slice(0, 20))} is answered`, () => client.errors.length > before)
  }
  for (const { code } of client.errors) assert.equal(code, 'bad_message')
  await client.ping()
  client.raw('{"op":"ping","id":1}', !binary)
  await until('it is cut off', () => client.ended)
  assert.equal(client.ended.code, 1003)
}

async function tooManyErrors(codec) {
  const client = await Client.join(here.server.room('demo'), codec, { label: 'stranger' })
  for (let i = 0; i < 150 && !client.ended; i++) client.say({ op: 'nonsense' })
  await until('it is cut off', () => client.ended)
  assert.equal(client.ended.code, 1008)
  assert.equal(client.errors.at(-1).code, 'too_many_errors')
}
