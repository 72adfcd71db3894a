// The monitor page: a room with pages and a session, one with 300 peers, a password, a lost connection.
// With SHOTS=<folder> it leaves pictures there.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import WebSocket from 'ws'
import { randomId, rootTopic, sign } from '../browser/signaling.js'
import { check } from '../lib/check.js'
import { fill } from '../lib/cells.js'
import { stage } from '../lib/stage.js'
import { until } from '../lib/until.js'

const caddyfile = server => `{
	admin off
	persist_config off
	auto_https off
	genosrtc {
		udp 127.0.0.1:${server.port}
	}
}
http://:${server.port} {
	bind 127.0.0.1
	genosrtc {
		room demo
		room crowd {
			cells on 10
		}
		room empty
		room locked {
			password "open sesame"
		}
		monitor
	}
}
`
const here = stage('monitor', { caddyfile })
const PHONE = { width: 390, height: 844 }
const DESKTOP = { width: 1440, height: 900 }

/** monitor opens the page in a browser of its own, and collects what its console complains of. */
async function monitor(room, { scheme = 'dark', viewport = DESKTOP } = {}) {
  const context = await here.browser.newContext({ colorScheme: scheme, viewport, deviceScaleFactor: viewport === PHONE ? 2 : 1 })
  const page = await context.newPage()
  page.complaints = []
  page.on('pageerror', error => page.complaints.push(error.message))
  page.on('console', message => ['error', 'warning'].includes(message.type()) && page.complaints.push(message.text().slice(0, 200)))
  await page.goto(`${here.server.url}/genosrtc/${room ? `#room=${encodeURIComponent(room)}` : ''}`)
  return page
}

const state = (page, name) => page.locator(`body[data-state=${name}]`).waitFor()
const nodes = page => page.locator('#mesh canvas').getAttribute('data-nodes').then(Number)
const shoot = async (name, room, seconds = 8) => {
  if (!process.env.SHOTS) return
  for (const scheme of ['dark', 'light']) {
    for (const viewport of [DESKTOP, PHONE]) {
      const page = await monitor(room, { scheme, viewport })
      await state(page, 'live')
      await sleep(seconds * 1000)
      const file = `${name}-${scheme}-${viewport === PHONE ? 'phone' : 'desktop'}.png`
      await page.screenshot({ path: path.join(process.env.SHOTS, file), fullPage: viewport === PHONE })
      await page.context().close()
    }
  }
}

/** talk has pages say something, for the pictures, until what it returns is called. */
function talk(pages) {
  const say = () => pages[Math.floor(Math.random() * pages.length)].send('chat', { random: Math.ceil(Math.random() * 3000) })
  const talking = setInterval(() => say().catch(() => {}), 100)
  return () => clearInterval(talking)
}

test('a room with three pages and two sessions', async t => {
  const pages = await Promise.all([1, 2, 3].map(n => here.page('demo', { label: `page ${n}`, channels: ['chat'] })))
  const clients = [await here.client('demo', 'json'), await here.client('demo', 'msgpack')]
  const page = await monitor('')
  await check(t, 'it takes the first room that needs no credentials, and shows who is there', async () => {
    await state(page, 'live')
    assert.equal(await page.locator('#room').inputValue(), 'demo')
    await until('six peers are drawn', async () => (await nodes(page)) === 6)
    await page.getByText('peers: 1 server, 2 sessions, 3 browsers').waitFor()
  })
  await check(t, 'it lists the sessions, the links with their round trips, and the relay', async () => {
    for (const { id } of clients) await page.locator(`#sessions td[title="${id}"]`).waitFor()
    await until('each page is linked with each of ours', async () => (await page.locator('#links tr.good').count()) === 9, 40_000)
    await until('round trips are known', async () => /\d ms/.test(await page.locator('#links tbody tr').first().textContent()), 20_000)
    await page.locator('#relays tr.good', { hasText: 'this server' }).waitFor()
  })
  await check(t, 'it draws what passes', async () => {
    for (let n = 0; n < 20; n++) await pages[0].send('chat', { value: { n } })
    await until('messages are counted', async () => /messages, [1-9]/.test(await page.locator('#tiles').textContent()))
    assert.equal(await page.locator('#plots .uplot').count(), 3)
  })
  await check(t, 'a transfer has a bar', async () => {
    const [from, to] = [await session('demo'), await session('demo')]
    from.say({ op: 'begin', transfer: 1, channel: 'file', kind: 'bytes', size: 100_000, offset: 0, to: [to.id] })
    await until('the recipient is asked', () => to.heard.begin)
    to.say({ op: 'begin', transfer: 1, from: from.id, offset: 0 })
    await until('the sender is answered', () => from.heard.begin)
    from.say({ op: 'chunk', transfer: 1, offset: 0, data: { $bin: Buffer.alloc(40_000).toString('base64') } })
    await until('it comes', () => to.heard.chunk)
    to.say({ op: 'ack', transfer: 1, from: from.id, offset: 40_000 })
    await until('it shows how much there is', async () => (await page.locator('#transfers progress').getAttribute('value', { timeout: 5000 })) === '0.4')
    if (process.env.SHOTS) await page.screenshot({ path: path.join(process.env.SHOTS, 'transfer.png'), fullPage: true })
    from.say({ op: 'cancel', transfer: 1 })
    await page.locator('#transfers progress').waitFor({ state: 'detached' })
    for (const s of [from, to]) s.say({ op: 'leave' })
  })
  const stop = talk(pages)
  await shoot('3', 'demo').finally(stop)
  await check(t, 'who leaves disappears', async () => {
    await pages[2].close()
    await until('five are left', async () => (await nodes(page)) === 5)
  })
  assert.deepEqual(page.complaints, [])
  for (const c of clients) c.say({ op: 'leave' })
  for (const p of pages.slice(0, 2)) await p.close()
})

test('an empty room, one with a password, one that is not there, and a lost connection', async t => {
  await check(t, 'an empty room says so', async () => {
    const page = await monitor('empty')
    await page.getByText('Nobody but the server is in “empty”').waitFor()
    assert.deepEqual(page.complaints, [])
  })
  await check(t, 'a password is asked for, and is in no address', async () => {
    const page = await monitor('locked')
    const asked = []
    page.on('request', request => asked.push(request.url()))
    await state(page, 'refused')
    assert.equal(await page.locator('#token').isVisible(), false)
    if (process.env.SHOTS) await page.screenshot({ path: path.join(process.env.SHOTS, 'locked.png') })
    await page.locator('#password').fill('wrong')
    await page.locator('#password').press('Enter')
    await page.getByText('The room has another password.').waitFor()
    await page.locator('#password').fill('open sesame')
    await page.locator('#password').press('Enter')
    await state(page, 'live')
    assert.deepEqual(asked.filter(url => /sesame|wrong/.test(url)), [])
    assert.equal(await page.locator('#rooms option[value=locked]').count(), 0)
  })
  await check(t, 'a room that is not there is named', async () => {
    const page = await monitor('nowhere')
    await state(page, 'refused')
    await page.locator('#room').fill('demo')
    await page.locator('#room').press('Enter')
    await state(page, 'live')
  })
  await check(t, 'a lost connection is told, and comes back', async () => {
    const page = await monitor('demo')
    await state(page, 'live')
    await here.server.stop()
    await page.getByText('Connection lost').waitFor()
    await here.server.start()
    await state(page, 'live')
  })
})

test('a room of 300 peers', async t => {
  const pages = await fill(here, 'crowd', 3, { cells: { cellSize: 10 }, channels: ['chat'] })
  const clients = await Promise.all(Array.from({ length: 20 }, () => here.client('crowd', 'msgpack')))
  const crowd = await announcers('crowd', 276)
  try {
    const page = await monitor('crowd')
    await check(t, 'they are all drawn, in cells', async () => {
      await until('all are there', async () => (await nodes(page)) === 300, 30_000)
      await until('they form cells', async () => /^(29|30)cells of 10/.test(await page.locator('.tile').nth(2).textContent()), 30_000)
    })
    await check(t, 'the server works little for it', async () => {
      const busy = await cpu(5)
      await page.close()
      const idle = await cpu(5)
      t.diagnostic(`server with 300 peers: ${percent(busy)} of a core while the monitor is open, ${percent(idle)} without`)
      // The race detector makes everything several times slower.
      assert.ok(busy - idle < (process.env.SERVER_CMD ? 0.05 : 0.5), `the monitor takes ${percent(busy - idle)} of a core`)
    })
    assert.deepEqual(page.complaints, [])
    const stop = talk(pages)
    await shoot('300', 'crowd', 12).finally(stop)
  } finally {
    crowd.close()
    for (const c of clients) c.say({ op: 'leave' })
    for (const p of pages) await p.close()
  }
})

/** session says and hears the messages of the session protocol as they are. */
async function session(room) {
  const socket = new WebSocket(here.server.room(room), 'genosrtc.v1.json')
  const s = { heard: {}, id: null, say: message => socket.send(JSON.stringify(message)) }
  socket.on('message', text => {
    const message = JSON.parse(text)
    s.heard[message.op] = message
  })
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
  s.say({ op: 'hello' })
  s.id = (await until('it is welcome', () => s.heard.welcome)).peer
  return s
}

const percent = part => `${(100 * part).toFixed(1)} %`

/** cpu is how much of a core the server uses for so many seconds. */
async function cpu(seconds) {
  const ticks = async () => {
    const fields = (await readFile(`/proc/${here.server.pid}/stat`, 'utf8')).split(') ')[1].split(' ')
    return Number(fields[11]) + Number(fields[12]) // utime and stime, of 100 a second
  }
  const before = await ticks()
  await sleep(seconds * 1000)
  return ((await ticks()) - before) / 100 / seconds
}

/**
 * announcers are peers that say no more than that they are there, as one of other cells seems to the server.
 * Their ids do not begin as those of servers do, who would be dialled.
 */
async function announcers(database, count) {
  const ids = Array.from({ length: count }, () => `P${randomId(19)}`)
  const topic = rootTopic(`app-sync-${database}`)
  const socket = new WebSocket(here.server.relay)
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
  let over = false
  const going = (async () => {
    for (let n = 0; !over; n++) {
      socket.send(JSON.stringify(['EVENT', sign(topic, JSON.stringify({ peerId: ids[n % count] }))]))
      await sleep(n < count ? 10 : 50)
    }
  })()
  return {
    async close() {
      over = true
      await going
      socket.close()
    },
  }
}
