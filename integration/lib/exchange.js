// Everybody says everything to everybody, and all of it arrives equal, in order and once.

import assert from 'node:assert/strict'
import { fingerprint, make } from '../pages/value.js'
import { check } from './check.js'
import { Client } from './client.js'
import { others } from './presence.js'
import { PythonClient } from './python.js'
import { until } from './until.js'

/** channels that an exchange uses: names of one byte, twelve bytes, and not ASCII. */
export const channels = ['c', 'twelve-bytes', 'ñandú-日', 'private', 'file', 'big']

const plain = [
  '',
  'hello',
  'grüße, 世界 🎉',
  '{"looks":"like JSON"}',
  '42',
  'null',
  'long text, '.repeat(400),
  'é'.repeat(256), // 512 bytes, but 256 characters: compressed
  0,
  42,
  -1.5,
  1e-7,
  2 ** 53 - 1,
  null,
  true,
  false,
  [],
  [1, 'two', null, [3], { four: 4 }],
  {},
  { text: 'hi', nested: { list: [1, 2, 3], 'ключ': 'значение' }, nothing: null },
  { $bin: 'AAEC' },
  { $map: { $bin: 'AAEC' } },
  { lines: Array.from({ length: 300 }, (_, i) => `line ${i}`) },
].map(value => ({ value }))
const binary = [{ bytes: [] }, { bytes: [0] }, { bytes: [1, 2, 3, 250, 255] }, { random: 40_000 }]

/** exchange runs the checks between participants (pages and clients) that all see each other. */
export async function exchange(t, participants) {
  const ledger = new Ledger()
  const broadcast = (channel, specs, meta = null) => say(ledger, participants, channel, specs, meta)
  await check(t, 'strings, numbers, booleans, null, arrays and maps', () => broadcast('c', plain))
  await check(t, 'binary', () => broadcast('file', binary))
  await check(t, 'binary with meta', () => broadcast('file', binary, { name: 'bild é.png', size: 5, tags: ['a', null] }))
  await check(t, 'a channel name of 12 bytes', () => broadcast('twelve-bytes', plain.slice(0, 3)))
  await check(t, 'a channel name that is not ASCII', () => broadcast('ñandú-日', plain.slice(0, 3)))
  await check(t, 'a message to one peer, named by a string and by an array', () => whisper(ledger, participants))
  await check(t, '1.5 MB, with progress at both ends', () => large(ledger, participants))
  await check(t, 'nothing came twice or to the wrong place', async () => {
    // What everybody gets last shows that nothing more is under way on that channel.
    for (const channel of channels) await say(ledger, participants, channel, [{ value: 'end' }], null)
    for (const receiver of participants) await ledger.balance(receiver)
  })
}

// Ledger holds what every receiver must have: messages in order, by sender and channel.
class Ledger {
  #due = new Map()

  expect(receiver, from, channel, data, meta) {
    if (!this.#due.has(receiver)) this.#due.set(receiver, new Map())
    const key = `${channel} ${from.id}`
    const list = this.#due.get(receiver).get(key) ?? []
    list.push({ channel, from: from.id, data, meta })
    this.#due.get(receiver).set(key, list)
  }

  /** settle waits for all that is due, and compares it with what came. */
  async settle(receiver, timeout) {
    for (const due of this.#due.get(receiver).values()) {
      const { channel, from } = due[0]
      const came = async () => (await receiver.messages()).filter(it => it.channel === channel && it.from === from)
      const what = `${receiver.label} has ${due.length} messages of ${from} on ${channel}`
      await until(what, async () => (await came()).length >= due.length, timeout)
      assert.deepEqual(await came(), due, what)
    }
  }

  /** balance fails if the receiver has anything that was not due. */
  async balance(receiver) {
    const due = [...this.#due.get(receiver).values()].reduce((sum, list) => sum + list.length, 0)
    assert.equal((await receiver.messages()).length, due, receiver.label)
  }
}

// Each in turn sends all specs to everybody. They are not to overtake each other, even if the sender
// does not wait in between; GenosDB does let short messages overtake those that it compresses.
async function say(ledger, participants, channel, specs, meta) {
  for (const sender of participants) {
    const send = spec => sender.send(channel, spec, { meta })
    if (sender.kind === 'genosdb') for (const spec of specs) await send(spec)
    else await Promise.all(specs.map(send))
    for (const spec of specs) {
      for (const receiver of others(participants, sender)) {
        ledger.expect(receiver, sender, channel, fingerprint(make(spec)), meta)
      }
    }
  }
  for (const receiver of participants) await ledger.settle(receiver)
}

async function whisper(ledger, participants) {
  for (const sender of participants) {
    for (const target of others(participants, sender)) {
      for (const to of [target.id, [target.id]]) {
        const value = `${sender.label} to ${target.label} as ${typeof to}`
        await sender.send('private', { value }, { to })
        ledger.expect(target, sender, 'private', fingerprint(value), null)
      }
    }
  }
  for (const receiver of participants) await ledger.settle(receiver)
}

const isSession = one => one instanceof Client || one instanceof PythonClient

async function large(ledger, participants) {
  const spec = { random: 1_500_000 }
  const meta = { name: 'large' }
  for (const sender of participants) {
    await sender.send('big', spec, { meta, progress: true })
    for (const receiver of others(participants, sender)) {
      ledger.expect(receiver, sender, 'big', fingerprint(make(spec)), meta)
      await ledger.settle(receiver, 30_000)
      const way = `${sender.label} → ${receiver.label}`
      // Between sessions it is one message, which arrives at once.
      const frames = !(isSession(sender) && isSession(receiver))
      await rises(`${way}, at the sender`, sender, { way: 'out', peer: receiver.id }, frames)
      if (frames) await rises(`${way}, at the receiver`, receiver, { way: 'in', peer: sender.id }, frames)
    }
  }
}

// Progress must have been told in steps, never fall, and end with exactly 1.
async function rises(what, participant, { way, peer }, steps) {
  const fractions = await until(`progress of ${what} ends`, async () => {
    const all = (await participant.progress()).filter(
      entry => entry.way === way && entry.peer === peer && entry.channel === 'big',
    )
    return all.at(-1)?.fraction === 1 && all.map(entry => entry.fraction)
  })
  if (steps) assert.ok(fractions.length > 1, `${what}: only ${fractions}`)
  assert.deepEqual(fractions, fractions.toSorted((a, b) => a - b), `${what}: falls`)
}
