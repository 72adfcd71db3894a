// The graph of a room, for all who take part: what HTTP writes is told to pages, what pages write to HTTP and sessions.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { check } from '../lib/check.js'
import { Graph } from '../lib/graph.js'
import { serverOf } from '../lib/presence.js'
import { stage } from '../lib/stage.js'
import { until } from '../lib/until.js'

const here = stage('memory-http', { rooms: { demo: { memory: true } } })
const TIMES = 20
const LIMIT = 100

test('a sensor with curl, a page, a stream of events and a session', async t => {
  const page = await here.page('demo')
  await serverOf(page)
  await page.put('first', { of: 'the page' })
  const graph = new Graph(here.server, 'demo')
  await until('the server has it', () => graph.get('first'))
  await page.ask('watch')
  const stream = new AbortController()
  const events = []
  await graph.events(event => events.push({ ...event, at: Date.now() }), stream.signal)
  const session = await here.client('demo', 'json')
  session.say({ op: 'watch', id: 1 })
  await until('both watch', () => events.some(({ type }) => type === 'current') && session.watching.has(1))
  t.after(async () => {
    stream.abort()
    await session.leave()
    await page.close()
  })

  await check(t, `a PUT is in the page's callback within ${LIMIT} ms`, () =>
    median(t, n => graph.put('sensor-1', { n }), n => toldPage(page, 'sensor-1', n)))
  await check(t, `a page's put is an event of the stream within ${LIMIT} ms`, () =>
    median(t, n => page.put('of the page', { n }), n => toldStream(events, 'of the page', n)))
  await check(t, `a page's put is told to a session within ${LIMIT} ms`, () =>
    median(t, n => page.put('for the session', { n }), n => toldSession(session, 'for the session', n)))
  await check(t, 'a DELETE and a remove are told as well', async () => {
    await graph.remove('sensor-1')
    await until('the page is told', async () =>
      (await page.ask('log', 'changes')).some(({ action, id }) => action === 'removed' && id === 'sensor-1'))
    await page.remove('of the page')
    await until('the stream is told', () => events.some(({ type, data }) => type === 'removed' && data.id === 'of the page'))
    await until('the session is told', () => session.nodes.some(({ removed, node }) => removed && node === 'of the page'))
  })
})

// told resolves with the time at which somebody was told of the value n.
async function median(t, write, told) {
  const times = []
  for (let n = 0; n < TIMES; n++) {
    const start = Date.now()
    await write(n)
    times.push((await until(`${n} is told`, () => told(n))) - start)
  }
  times.sort((a, b) => a - b)
  t.diagnostic(`median of ${TIMES}: ${times[TIMES / 2]} ms, at most ${times.at(-1)} ms`)
  assert.ok(times[TIMES / 2] <= LIMIT, `${times}`)
}

const toldPage = async (page, id, n) =>
  (await page.ask('log', 'changes')).find(change => change.id === id && change.value?.n === n)?.at
const toldStream = (events, id, n) => events.find(({ data }) => data?.id === id && data.value?.n === n)?.at
const toldSession = (session, id, n) => session.nodes.find(({ node, data }) => node === id && data?.n === n)?.at
