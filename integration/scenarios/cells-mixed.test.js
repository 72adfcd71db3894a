// A room where some pages use cells and others do not: the server carries messages between them.

import { test } from 'node:test'
import { check } from '../lib/check.js'
import { Tally, fill } from '../lib/cells.js'
import { serverOf } from '../lib/presence.js'
import { kind, stage } from '../lib/stage.js'
import { until } from '../lib/until.js'

const channels = ['chat']
// In small cells a link of the test's peers whose offer was ignored may be missing for longer than a test
// can wait; what the server carries into cells is then TestCarriedIntoCells' of package engine.
const SIZE = kind === 'genosdb' ? 3 : 20
const here = stage('cells-mixed', { rooms: { mixed: {} } })

test('6 pages with cells, 4 without, 2 sessions', async t => {
  const sessions = [
    await here.client('mixed', 'json', { label: 'session 1' }),
    await here.client('mixed', 'msgpack', { label: 'session 2' }),
  ]
  const [cells, full] = await Promise.all([
    fill(here, 'mixed', 6, { label: 'in cells', cells: { cellSize: SIZE }, channels }),
    fill(here, 'mixed', 4, { label: 'without', channels }),
  ])
  const everybody = [...cells, ...full, ...sessions]
  const server = await serverOf(full[0], 60_000)
  // The id of the message's author does not fit into a plain frame: it comes from the server's peer.
  const from = (sender, receiver) => (cells.includes(sender) && full.includes(receiver) ? server : sender.id)

  await check(t, 'the server notices that the room is mixed', () =>
    until('the sessions are told', () => sessions.every(({ mesh }) => mesh?.mixed), 60_000))
  await check(t, 'the pages with cells have all in their roster', () =>
    until('they have', async () => {
      const states = await Promise.all(cells.map(page => page.meshState()))
      return states.every(({ roster }) => roster.length === everybody.length + 1)
    }, 60_000))
  // The pages with cells close the links that have no place there, and those without dial for ever: an
  // offer that was ignored keeps its sender from another for a minute and a half.
  await check(t, 'messages reach everyone', () => new Tally(everybody).flows({ from, timeout: 240_000 }))
  await check(t, 'every message reaches everyone once', () => new Tally(everybody).broadcast(10, { from }))
  for (const page of [...cells, ...full]) await page.close()
  for (const session of sessions) await session.leave()
})
