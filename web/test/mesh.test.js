// The room's cells.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { next, setUp, until } from './helpers.js'

const role = (cellId, ...bridges) => ({ cellId, isBridge: bridges.length > 0, bridges })
const place = (epoch, peer) => ({
  op: 'mesh', epoch, peer, ...role('cell-2', 'cell-1'), cellSize: 5, totalCells: 4, knownCells: 3, totalPeers: 3, dynamicTTL: 9,
})

for (const protocol of ['msgpack', 'json']) {
  test(`our place, and that of others, in ${protocol}`, async (t) => {
    const { server, room, join } = await setUp(t, { protocol })
    assert.equal(room.mesh.getState(), null)
    assert.equal(room.mesh.getCellSize(), null)
    assert.deepEqual(await room.mesh.getPeerInfo(), new Map())

    server.roster = [[{ peer: 'a', ...role('cell-1', 'cell-2') }, { peer: room.id, ...role('cell-2', 'cell-1') }], [{ peer: 'b', ...role('cell-3') }]]
    server.place = place(7, room.id)
    const told = next(room, 'mesh:state')
    server.sessions[0].tell(server.place)
    const { op, ...state } = server.place
    assert.deepEqual(await told, [state])
    assert.deepEqual(room.mesh.getState(), state)
    assert.equal(room.mesh.getCellSize(), 5)
    assert.deepEqual(await room.mesh.getStableRoster(), ['a', room.id, 'b'])
    assert.deepEqual((await room.mesh.getPeerInfo()).get('a'), { cell: 'cell-1', isBridge: true, bridges: ['cell-2'] })
    assert.equal(server.sessions[0].received.filter(({ op }) => op === 'mesh').length, 3)

    // Each seal tells of the others (here, of all but the first client) where somebody listens; who comes later is told too.
    const late = await join()
    const others = []
    late.on('mesh:peer-state', ({ timestamp, ...peer }) => others.push(peer))
    await until(() => others.length === 2)
    assert.deepEqual(others[0], { id: 'a', cell: 'cell-1', isBridge: true, bridges: ['cell-2'] })
    assert.deepEqual(late.mesh.getState(), state)

    const gone = next(room, 'mesh:state')
    server.sessions[0].tell({ op: 'mesh', epoch: 0, peer: room.id })
    assert.deepEqual(await gone, [null])
    assert.equal(room.mesh.getState(), null)
  })
}

test('what is said to the mesh', async (t) => {
  const { room, join } = await setUp(t)
  const other = await join()
  const heard = []
  const unlisten = other.mesh.on('message', (data, from, meta) => heard.push({ data, from, meta }))
  other.channel('chat').on('message', () => {})
  await room.channel('chat').send('not for the mesh')
  await room.mesh.send(new Uint8Array([1, 2]), { meta: { name: 'a' } })
  await room.mesh.send('for you', other.id)
  await until(() => heard.length === 2)
  assert.deepEqual(heard, [
    { data: new Uint8Array([1, 2]), from: room.id, meta: { name: 'a' } },
    { data: 'for you', from: room.id, meta: undefined },
  ])
  unlisten()
  const last = next(other.channel('@_mesh'), 'message')
  await room.mesh.send('nobody listens')
  await last
  assert.equal(heard.length, 2)
  assert.ok((await room.mesh.ping(other.id)) >= 0)
})

test('a lost connection answers no request', async (t) => {
  const { server, room } = await setUp(t)
  server.place = place(7, room.id)
  const told = next(room, 'mesh:state')
  server.sessions[0].tell(server.place)
  await told
  server.silent = true
  const asked = assert.rejects(room.mesh.getPeerInfo(), { code: 'disconnected' })
  server.drop()
  await asked
  await assert.rejects(room.mesh.getPeerInfo(), { code: 'disconnected' })
  assert.equal(room.mesh.getState().epoch, 7)
  server.silent = false
  server.place = undefined
  await next(room, 'open')
  assert.equal(room.mesh.getState(), null) // it has no cells any more
  await room.leave()
  await assert.rejects(room.mesh.getPeerInfo(), { code: 'left' })
})
