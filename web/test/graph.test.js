// The room's graph: requests, watches, both over lost connections, and GenosDB's calls.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gdb, next, setUp, startServer, until } from './helpers.js'

for (const protocol of ['msgpack', 'json']) {
  test(`nodes are put, patched, linked, read and removed: ${protocol}`, async (t) => {
    const { room } = await setUp(t, { protocol })
    const { graph } = room
    const node = await graph.put({ n: 1, $bin: 'text' }, 'a', { expect: 'absent' })
    assert.deepEqual(node, { id: 'a', value: { n: 1, $bin: 'text' }, edges: [], timestamp: node.timestamp, seq: 1 })
    assert.deepEqual((await graph.patch({ n: 2, $bin: null }, 'a', { expect: node.timestamp })).value, { n: 2 })
    await assert.rejects(graph.patch({ n: 3 }, 'a', { expect: node.timestamp }), { code: 'changed' })
    const { id } = await graph.put('text')
    assert.match(id, /^[0-9a-f]{32}$/)
    assert.deepEqual((await graph.link('a', id)).edges, [id])
    assert.equal((await graph.get(id)).value, 'text')
    await graph.remove(id)
    assert.equal(await graph.get(id), undefined)
    await assert.rejects(graph.remove(id), { code: 'unknown_node' })
    await assert.rejects(graph.link('a', id), { code: 'unknown_node' })
    await assert.rejects(graph.put(new Uint8Array(1), 'a'), { code: 'bad_data' })
    assert.equal((await graph.put(null, 'a')).value, null)
  })
}

test('what is not answered is asked again, in order, and no more than 64 at once', async (t) => {
  const { room, server } = await setUp(t)
  server.holdGraph = true
  const [session] = server.sessions
  const ids = Array.from({ length: 100 }, (_, n) => `n${n}`)
  const puts = Promise.all(ids.map((id, n) => room.graph.put(n, id)))
  const asked = () => session.received.filter(({ op }) => op === 'put').map(({ node }) => node)
  await until(() => asked().length === 64) // no more at once
  server.drop()
  await next(room, 'close')
  server.holdGraph = false
  assert.deepEqual((await puts).map(({ value }) => value), [...ids.keys()])
  assert.deepEqual(asked().slice(64), ids)
})

test('more than may wait is refused', async (t) => {
  const { room, server } = await setUp(t)
  server.holdGraph = true
  const text = 'x'.repeat(2 ** 20)
  const puts = Array.from({ length: 15 }, (_, n) => room.graph.put(text, `n${n}`))
  await assert.rejects(room.graph.put(text + text), { code: 'queue_full' })
  await assert.rejects(room.graph.put('x'.repeat(5 * 2 ** 20)), { code: 'too_large' })
  await room.leave()
  for (const put of puts) await assert.rejects(put, { code: 'left' })
  await assert.rejects(room.graph.get('a'), { code: 'left' })
  await assert.rejects(room.graph.watch({}, () => {}).ready, { code: 'left' })
})

test('a watch tells of what was and what comes, and misses nothing over a lost connection', async (t) => {
  const { room, server } = await setUp(t)
  for (const id of ['s-1', 's-2', 'other']) server.graph.set(id, { data: id })
  const heard = []
  const watch = room.graph.watch({ prefix: 's-', after: 0 }, ({ id, removed, seq }) => heard.push(`${seq} ${id}${removed ? ' removed' : ''}`))
  assert.equal(await watch.ready, 3)
  assert.deepEqual(heard, ['1 s-1', '2 s-2'])
  await room.graph.put(1, 's-3')
  await until(() => heard.length === 3)
  server.drop()
  await next(room, 'close')
  server.graph.set('s-1', { data: 'later' })
  server.graph.set('s-2', { removed: true })
  await until(() => heard.length === 5)
  assert.deepEqual(heard.slice(2), ['4 s-3', '5 s-1', '6 s-2 removed'])
  watch.unsubscribe()
  await room.graph.put(1, 's-4')
  await room.ping()
  assert.equal(heard.length, 5)
  assert.equal(server.sessions[0].graph.watches.size, 0)
})

test('a watch that is not wanted before it is ready', async (t) => {
  const { room } = await setUp(t)
  const { ready, unsubscribe } = room.graph.watch({ after: 0 }, () => assert.fail('it was told'))
  unsubscribe()
  await assert.rejects(ready, { code: 'unsubscribed' })
  await room.ping()
})

test('a watch that begins now, and one that is refused', async (t) => {
  const { room, server } = await setUp(t)
  server.graph.set('a', { data: 1 })
  const heard = []
  const watch = room.graph.watch({}, ({ id }) => heard.push(id))
  await watch.ready
  await room.graph.put(1, 'b')
  assert.deepEqual(heard, ['b'])

  server.graphError = 'no_graph'
  await assert.rejects(room.graph.watch({}, () => {}).ready, { code: 'no_graph' })
  await assert.rejects(room.graph.get('a'), { code: 'no_graph' })
  // One that was there before is told of by the room.
  const told = next(room, 'error')
  server.drop()
  assert.equal((await told)[0].code, 'no_graph')
})

test("GenosDB's calls", async (t) => {
  const server = await startServer(t)
  const db = await gdb('demo', { url: server.url })
  t.after(() => db.room.leave())
  const todo = await db.put({ type: 'todo', n: 2 })
  await db.put({ type: 'todo', n: 1 }, 'first')
  await db.put({ type: 'note' }, 'note')
  const { result } = await db.get('first')
  assert.deepEqual([result.id, result.value], ['first', { type: 'todo', n: 1 }])
  assert.deepEqual(await db.get('nothing'), { result: null })

  const heard = []
  const tell = ({ id, value, action }) => heard.push(`${action} ${id} ${value?.n}`)
  const { results, unsubscribe } = await db.map(tell, { query: { type: 'todo', n: { $gte: 1 } }, field: 'n' })
  assert.deepEqual(results.map(({ id }) => id), ['first', todo])
  await db.put({ type: 'todo', n: 3 }, 'third')
  await db.put({ type: 'todo', n: 9 }, 'first')
  await db.put({ type: 'done', n: 9 }, 'first')
  await db.remove('third')
  await db.put({ type: 'note' }, 'note')
  await db.link(todo, 'note')
  await until(() => heard.length === 7)
  assert.deepEqual(heard, ['initial first 1', `initial ${todo} 2`, 'added third 3', 'updated first 9', 'removed first 9', 'removed third 3', `updated ${todo} 2`])
  unsubscribe()

  const { results: some } = await db.map({ query: { $or: [{ type: { $in: ['note'] } }, { $not: { n: { $exists: false } } }] }, field: 'type', order: 'desc', $limit: 2 })
  assert.deepEqual(some.map(({ value }) => value.type), ['todo', 'note'])
  await assert.rejects(db.map({ query: { name: { $regex: 'x' } } }), { code: 'unsupported' })
  await assert.rejects(db.map({ $after: 'x' }), { code: 'unsupported' })

  const values = []
  const one = await db.get('note', (node) => values.push(node?.value ?? null))
  await db.put(1, 'note')
  await db.put(1, 'note too')
  await db.remove('note')
  await until(() => values.length === 3)
  assert.deepEqual(values, [{ type: 'note' }, 1, null])
  one.unsubscribe()

  const warned = t.mock.method(console, 'warn', () => {})
  await db.remove('nothing')
  await db.link('nothing', 'note')
  assert.equal(warned.mock.callCount(), 2)
})
