// Ten minutes in a room with cells, of which one page in ten leaves each minute and another comes:
// between those who have their places, and the links of these, nothing is lost, and nobody hears
// anything twice.
//
// Each says something every few seconds. A round is settled if all had one topology and all its links
// before it and after it. Pages need a while for that after each change: what is lost in the other
// rounds is printed too.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { agree, fill } from '../lib/cells.js'
import { check } from '../lib/check.js'
import { others } from '../lib/presence.js'
import { stage } from '../lib/stage.js'
import { until } from '../lib/until.js'
import { fingerprint } from '../pages/value.js'
import { caddyfile } from './caddyfiles.js'
import { goroutines, linksOpen } from './server.js'

const MINUTES = Number(process.env.MINUTES ?? 10)
const [PAGES, SESSIONS, SIZE] = [14, 2, 3]
const CHURN = 0.1 // of the pages, a minute
const ROUND = 4_000
const SLACK = 15 // goroutines
const channels = ['chat']
const here = stage('long-cells', { caddyfile: ({ port }) => caddyfile({ port }, { directive: `room cells {\ncells on ${SIZE}\n}` }) })

test(`${MINUTES} minutes of churn with ${PAGES} pages, ${SESSIONS} sessions and the server`, async t => {
  const idle = await goroutines()
  const sessions = []
  for (let n = 1; n <= SESSIONS; n++) sessions.push(await here.client('cells', 'json', { label: `session ${n}` }))
  let pages = await fill(here, 'cells', PAGES, { cells: { cellSize: SIZE }, channels })
  const everybody = () => [...pages, ...sessions]
  const settled = timeout =>
    agree(everybody(), SIZE, { silent: 1, timeout }).then(({ roster }) => roster.join(), () => null)
  await check(t, 'all have their places', async () => assert.ok(await settled(240_000)))

  const rounds = [] // {n, there: Map of label → id, settled}
  const logs = new Map() // by label; of who was killed there is none
  const heard = async one => (await one.messages()).map(({ from, data }) => `${from}: ${data}`)
  const start = Date.now()
  let left = 0
  await check(t, 'pages come and go', async () => {
    for (let before = await settled(1); Date.now() - start < MINUTES * 60_000; ) {
      const n = rounds.length
      const there = new Map(everybody().map(one => [one.label, one.id]))
      await Promise.all(everybody().map(one => one.send('chat', { value: `${n}` })))
      await sleep(ROUND)
      const after = await settled(1)
      rounds.push({ n, there, settled: before !== null && before === after })
      before = after
      if (Date.now() - start < (left + 1) * (60_000 / (PAGES * CHURN))) continue
      const leaver = pages[Math.floor(Math.random() * pages.length)]
      logs.set(leaver.label, await heard(leaver))
      pages = others(pages, leaver)
      await leaver.close()
      const newcomer = await here.page('cells', { label: `newcomer ${++left}`, cells: { cellSize: SIZE }, channels })
      pages.push(newcomer)
      before = null
    }
  })
  await sleep(ROUND)
  for (const one of everybody()) logs.set(one.label, await heard(one))
  assert.ok(here.server.alive, 'the server is up')

  const count = { settled: { due: 0, lost: 0 }, other: { due: 0, lost: 0 } }
  let doubled = 0
  for (const [label, log] of logs) {
    const times = new Map()
    for (const entry of log) times.set(entry, (times.get(entry) ?? 0) + 1)
    doubled += [...times.values()].filter(n => n > 1).length
    for (const round of rounds.filter(({ there }) => there.has(label))) {
      const sum = round.settled ? count.settled : count.other
      for (const [sender, id] of round.there) {
        if (sender === label) continue
        sum.due++
        if (!times.has(`${id}: ${fingerprint(`${round.n}`)}`)) sum.lost++
      }
    }
  }
  const calm = rounds.filter(({ settled }) => settled).length
  t.diagnostic(`${left} pages left, and as many came; ${calm} of ${rounds.length} rounds were settled`)
  t.diagnostic(`settled: ${count.settled.lost} of ${count.settled.due} lost; in the other rounds ${count.other.lost} of ${count.other.due}; ${doubled} doubled`)
  await check(t, 'between those who had their places nothing is lost, and nothing is doubled', () => {
    assert.ok(calm > 0, 'there were settled rounds')
    assert.equal(count.settled.lost, 0)
    assert.equal(doubled, 0)
  })
  await check(t, 'when all have gone no goroutine and no link is left', async () => {
    for (const one of everybody()) await (one.tab ? one.close() : one.leave())
    let now
    await until('they end', async () => (now = await goroutines()) <= idle + SLACK, 150_000).catch(() => {})
    const links = await linksOpen()
    t.diagnostic(`goroutines: ${idle} before, ${now} after; ${links} links`)
    assert.ok(now <= idle + SLACK, `${now} goroutines, and ${idle} before`)
    assert.equal(links, 0)
  })
})
