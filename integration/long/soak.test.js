// Ten minutes of load: memory stays flat, no goroutine is left over, no message is lost.
//
// 100 sessions and 2 pages send 10 messages a second each: one in ten to all, as in a chat, the
// others to three, as between players or editors who see each other. That makes some 13,000
// deliveries a second. If all went to all, it would be 100,000, and the driver would need the
// machine for itself.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { check } from '../lib/check.js'
import { stage } from '../lib/stage.js'
import { until } from '../lib/until.js'
import { caddyfile } from './caddyfiles.js'
import { Company } from './company.js'
import { goroutines, heap, resident } from './server.js'
import { slope } from './trend.js'

const MINUTES = Number(process.env.MINUTES ?? 10)
const LOAD = { rate: 10, share: 10 }
const SAMPLE = 5000
// What counts as flat. If the server kept one message in ten, it would grow by some 900 KiB a minute.
const FLAT = 500 // KiB a minute
const SLACK = 10 // goroutines

const here = stage('soak', { caddyfile: ({ port }) => caddyfile({ port }) })

test(`${MINUTES} minutes at 100 sessions x 10 messages a second, with 2 pages`, async t => {
  const idle = await goroutines()
  const company = await check(t, 'all are connected with all', () => Company.gather(here, { sessions: 100, pages: 2 }))
  t.after(() => company.hush())
  const quiet = await goroutines()
  const samples = []
  const heaps = [] // by the minute; unlike resident memory, free of what the garbage collector leaves lying
  const start = Date.now()
  const minutes = () => (Date.now() - start) / 60_000

  await check(t, 'all goes on', async () => {
    await company.start(LOAD)
    while (minutes() < MINUTES) {
      await sleep(SAMPLE)
      assert.ok(here.server.alive, 'the server is up')
      samples.push([minutes(), await resident(here.server)])
      if (minutes() >= heaps.length + 1) heaps.push([minutes(), await heap()])
    }
  })
  await check(t, 'no WebSocket was closed, and no link has ended', () => company.together())
  await check(t, 'no message was lost, doubled or out of order', async () => {
    const took = minutes() * 60
    const { sent, received } = await company.settle()
    t.diagnostic(`${sent} messages sent, ${received} received: ${Math.round(received / took)} a second`)
  })
  await check(t, 'no goroutine is left over', async () => {
    const after = await goroutines()
    t.diagnostic(`goroutines: ${idle} without anybody, ${quiet} before the load, ${after} after it; heap: ${await heap()} KiB`)
    assert.ok(after <= quiet + SLACK, `${after} goroutines, and ${quiet} before`)
  })
  await check(t, 'all have gone: neither are those of their sessions and links', async () => {
    await company.close()
    let now
    // Sessions wait two minutes for their clients to come back.
    await until('they end', async () => (now = await goroutines()) <= idle + SLACK, 150_000).catch(() => {})
    t.diagnostic(`goroutines when all have gone: ${now}; heap: ${await heap()} KiB`)
    assert.ok(now <= idle + SLACK, `${now} goroutines, and ${idle} before`)
  })
  await check(t, 'memory was flat', () => {
    // The first fifth is warm-up: buffers and pools grow to what the load needs.
    const warm = samples.filter(([at]) => at > MINUTES / 5)
    const kib = warm.map(([, kib]) => kib)
    const trend = slope(warm)
    t.diagnostic(`resident memory: ${Math.min(...kib)} to ${Math.max(...kib)} KiB after the warm-up, slope ${trend.toFixed(1)} KiB/min`)
    const live = heaps.filter(([at]) => at > MINUTES / 5)
    t.diagnostic(`live heap by the minute: ${heaps.map(([, kib]) => kib).join(' ')} KiB, slope after the warm-up ${slope(live).toFixed(1)} KiB/min`)
    t.diagnostic(`resident by the minute: ${samples.filter((_, i) => i % (60_000 / SAMPLE) === 0).map(([, kib]) => kib).join(' ')} KiB`)
    assert.ok(trend < FLAT, `memory grows by ${trend} KiB a minute`)
  })
})
