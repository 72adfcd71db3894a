// Two pages and two clients in one room see each other as separate peers, and everything passes in
// every direction.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { check } from '../lib/check.js'
import { Client } from '../lib/client.js'
import { channels, exchange } from '../lib/exchange.js'
import { meet, others, serverOf, servers } from '../lib/presence.js'
import { stage } from '../lib/stage.js'
import { until } from '../lib/until.js'

const password = 'correct horse'
const here = stage('matrix', { rooms: { demo: {}, locked: { password } } })

for (const [room, password_] of [['demo', undefined], ['locked', password]]) {
  test(`two pages and two clients, ${password_ ? 'with' : 'without'} a password`, async t => {
    const options = { password: password_, channels }
    const pages = [
      await here.page(room, { label: 'page 1', ...options }),
      await here.page(room, { label: 'page 2', ...options }),
    ]
    const clients = [
      await here.client(room, 'json', { label: 'json client', ...options }),
      await here.client(room, 'msgpack', { label: 'msgpack client', ...options }),
    ]
    const all = [...pages, ...clients]
    await check(t, 'all are connected with all', async () => {
      await meet(all)
      for (const one of all) await serverOf(one)
    })
    await check(t, 'as separate peers, clients of type session, the server as superpeer', async () => {
      assert.equal(new Set(all.map(one => one.id)).size, all.length)
      for (const one of all) await sees(one, others(all, one), clients)
    })
    await check(t, 'the clients are told the room and their identity', () => {
      for (const { welcome } of clients) {
        assert.equal(welcome.room, room)
        assert.equal(welcome.identity, 'session')
        assert.equal(welcome.resumed, false)
        assert.ok(welcome.limits.message >= 2 * 1024 * 1024)
      }
    })
    await exchange(t, all)
    await check(t, 'everybody answers the pings of everybody', async () => {
      for (const one of all) for (const other of all) if (one !== other) await one.ping(other.id)
    })
    await check(t, 'a client that leaves is gone for all', async () => {
      const [first, ...rest] = clients
      await first.leave()
      assert.deepEqual(first.ended, { code: 1000, reason: 'left' })
      for (const other of [...pages, ...rest]) {
        await until(`${other.label} is told`, async () => !(await other.peers()).includes(first.id))
      }
    })
    for (const page of pages) await page.close()
    await clients[1].leave()
  })
}

test('a wrong password joins nobody', async t => {
  const page = await here.page('locked', { label: 'page', password })
  const client = await here.client('locked', 'json', { label: 'client', password })
  await meet([page, client])
  for (const wrong of ['wrong', undefined]) {
    await check(t, `a page with ${wrong ? 'a wrong' : 'no'} password`, async () => {
      const stranger = await here.page('locked', { label: 'stranger', password: wrong })
      const before = await serverOf(page)
      await until('the stranger has been heard three times', async () =>
        (await page.events()).filter(({ event, peer }) => event === 'seen' && peer === stranger.id).length >= 3, 15_000)
      assert.deepEqual(await stranger.peers(), [])
      for (const one of [page, client]) {
        assert.ok(!(await one.peers()).includes(stranger.id), one.label)
        assert.ok(!(await one.events()).some(({ event, peer }) => event === 'join' && peer === stranger.id), one.label)
      }
      assert.deepEqual(await servers(page), [before], 'the server stays')
      await stranger.close()
    })
    for (const codec of ['json', 'msgpack']) {
      await check(t, `a ${codec} client with ${wrong ? 'a wrong' : 'no'} password`, async () => {
        const stranger = await Client.dial(here.server.room('locked'), codec, 'stranger')
        stranger.say({ op: 'hello', password: wrong })
        await until('the stranger is refused', () => stranger.ended)
        assert.equal(stranger.welcome, null)
        assert.equal(stranger.ended.code, 1008)
        assert.deepEqual(stranger.errors.map(({ code }) => code), ['password'])
      })
    }
  }
})

// One must have been told of every other, with its type, of one server, and of nobody else.
async function sees(one, all, clients) {
  const joins = (await one.events()).filter(({ event }) => event === 'join')
  const [server, ...more] = await servers(one)
  assert.deepEqual(more, [], `${one.label} sees one server`)
  const types = new Map([[server, 'superpeer'], ...all.map(other => [other.id, clients.includes(other) ? 'session' : null])])
  for (const { peer, type } of joins) assert.equal(type, types.get(peer), `${one.label} is told what ${peer} is`)
  assert.deepEqual((await one.peers()).toSorted(), [...types.keys()].toSorted(), `${one.label} sees all`)
}
