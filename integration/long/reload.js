// Reloads under load: no socket closes, no link breaks, no message is lost or doubled. Then a stop
// under the same load.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { check } from '../lib/check.js'
import { servers } from '../lib/presence.js'
import { startRelay } from '../lib/relay.js'
import { stage } from '../lib/stage.js'
import { until } from '../lib/until.js'
import { GRACE, caddyfile, changes, failures } from './caddyfiles.js'
import { listen } from './byes.js'
import { Company } from './company.js'
import { Session } from './session.js'
import { goroutines, heap, load, resident } from './server.js'

// One message in twenty goes to all, the others to three.
const LOAD = { rate: 4, share: 20 }
// Of ten reloads five change something, three change nothing, and two must fail.
const PLAN = ['change', 'same', 'change', 'failure', 'change', 'same', 'change', 'failure', 'change', 'same']
// What Caddy itself may start and stop in between: it renews its admin endpoint's connections.
const SLACK = 10
// How long a configuration lasts, so that messages pass under each.
const PAUSE = 200
// A link that ends without a farewell takes longer.
const FAREWELL = 5000

/** reloads registers the scenario. */
export function reloads(name, { sessions, pages, times }) {
  const at = {}
  const closing = []
  before(async () => {
    const relay = await startRelay()
    const nobody = net.createServer().listen(0, '127.0.0.1')
    await once(nobody, 'listening')
    closing.push(() => relay.close(), () => nobody.close())
    Object.assign(at, { relay: relay.url, nobody, taken: nobody.address().port })
  })
  after(() => closing.forEach(close => close()))
  const here = stage(name, { caddyfile: ({ port }) => caddyfile(Object.assign(at, { port })) })

  test(`${times} reloads, then a stop, with ${sessions} sessions and ${pages} pages in traffic`, async t => {
    const idle = await goroutines()
    const company = await check(t, 'all are connected with all', () => Company.gather(here, { sessions, pages }))
    t.after(() => company.hush())
    const { hosted, between } = await company.links()
    t.diagnostic(`${sessions} WebSockets, ${hosted} links between pages and the server, ${between} between pages`)
    const quiet = await goroutines()

    await check(t, `${times} reloads: every one does as it should`, async () => {
      await company.start(LOAD)
      const figures = { change: 0, same: 0, failure: 0 }
      const start = Date.now()
      for (let n = 0; n < times; n++) {
        const kind = PLAN[n % PLAN.length]
        await reload(here.server, at, kind, figures[kind]++, n)
        await sleep(PAUSE)
      }
      t.diagnostic(`${figures.change} reloads that changed something, ${figures.same} that did not, ${figures.failure} that failed, in ${seconds(start)} s`)
    })
    await check(t, 'no WebSocket was closed, and no link has ended', () => company.together())
    await check(t, 'no message was lost, doubled or out of order', async () => {
      const { sent, received } = await company.settle()
      t.diagnostic(`${sent} messages sent, ${received} received`)
    })
    await check(t, 'goroutines return to the baseline', async () => {
      let now
      await until('they return', async () => (now = await goroutines()) <= quiet + SLACK, 30_000).catch(() => {})
      t.diagnostic(`goroutines: ${idle} without anybody, ${quiet} with all connected, ${now} after the reloads`)
      t.diagnostic(`memory after the reloads: ${await heap()} KiB of heap, ${await resident(here.server)} KiB resident`)
      assert.ok(now <= quiet + SLACK, `${now} goroutines, and ${quiet} before`)
    })
    await check(t, 'newcomers are welcome', async () => {
      const late = await Session.join(here.server.room('demo'), 'latecomer', 'json')
      await until('it is connected with the pages', async () => {
        const peers = await late.peers()
        return company.pages.every(({ id }) => peers.includes(id))
      })
      late.drop()
    })
    await stop(t, here.server, at, company)
  })
}

// Every other reload is the command, the others what it does once it has started.
async function reload(server, at, kind, turn, n) {
  const [name, text, complaint] = pick(kind, at, turn, n)
  const { ok, said } = await (n % 2 ? load(text) : server.reload(text))
  if (complaint) assert.ok(!ok && complaint.test(said), `reload ${n}, ${name}: ${said}`)
  else assert.ok(ok, `reload ${n}, ${name}: ${said}`)
}

function pick(kind, at, turn, n) {
  if (kind === 'same') return ['the same again', caddyfile(at)]
  const all = Object.entries(kind === 'change' ? changes : failures)
  const [name, made] = all[turn % all.length]
  return kind === 'change' ? [name, caddyfile(at, made(at, n))] : [name, made[0](at), made[1]]
}

async function stop(t, server, at, company) {
  const { byes, close } = await listen(at.relay, 'demo')
  // It says nothing and hears nothing, and must not hold up the others.
  const deaf = await Session.join(server.room('demo'), 'deaf', 'json')
  const [first] = company.pages
  const [superpeer] = await servers(first.page)
  const hosted = [superpeer, ...[...company.sessions, deaf].map(({ peer }) => peer).filter(Boolean)]
  await until('the pages are linked with all of them', async () => {
    const peers = await Promise.all(company.pages.map(page => page.peers()))
    return peers.every(connected => hosted.every(id => connected.includes(id)))
  })
  await company.start(LOAD)
  await until('the traffic is under way', async () => (await first.report()).received > 0)
  const before = await Promise.all(company.pages.map(async page => (await page.leaves()).length))
  deaf.deafen()
  // Caddy waits for this for as long as its grace period.
  const hanging = fetch(`${server.url}/hang`).catch(() => {})
  await once(at.nobody, 'connection')

  const start = Date.now()
  await check(t, `the server stops within its grace period of ${GRACE} s plus 1 s`, async () => {
    await server.stop()
    await hanging
    const took = Date.now() - start
    t.diagnostic(`stopped after ${took} ms`)
    assert.ok(took < (GRACE + 1) * 1000, `${took} ms`)
  })
  await check(t, 'every session is told: 1001', async () => {
    await until('all are closed', () => company.sessions.every(({ ended }) => ended))
    for (const { name, ended } of company.sessions) assert.deepEqual([ended.code, ended.reason], [1001, 'server stopping'], name)
    t.diagnostic(`the last was told after ${Math.max(...company.sessions.map(({ ended }) => ended.at)) - start} ms`)
  })
  await check(t, 'every bye is heard at the second relay', async () => {
    await until('they are heard', () => hosted.every(id => byes.has(id)), 2000).catch(() => {})
    assert.deepEqual(hosted.filter(id => !byes.has(id)), [], 'did not say bye')
    t.diagnostic(`${hosted.length} byes, the last after ${Math.max(...byes.values()) - start} ms`)
  })
  await check(t, 'every link of a page ends at once, by a farewell', async () => {
    for (const [i, page] of company.pages.entries()) {
      await until(`${page.name} is told`, async () => {
        const left = (await page.leaves()).slice(before[i])
        return hosted.every(id => left.includes(id))
      }, start + FAREWELL - Date.now())
    }
    t.diagnostic(`all pages were told within ${Date.now() - start} ms`)
  })
  close()
  deaf.drop()
}

const seconds = start => ((Date.now() - start) / 1000).toFixed(1)
