// A camera published with WHIP is a stream of a peer of the room, for pages that know nothing of WHIP.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { check } from '../lib/check.js'
import { Page } from '../lib/page.js'
import { stage } from '../lib/stage.js'
import { until } from '../lib/until.js'

const s = stage('media', { rooms: { session: {}, server: { identity: 'server' } }, camera: true })
const META = { label: 'fake camera' }

/** plays waits until a page shows a stream whose pictures come and go on coming. */
async function plays(page, known) {
  const find = async ok => (await page.ask('pictures')).find(ok)
  const { id, frames } = await until(`${page.label} shows a picture`, () => find(p => !known.includes(p.id) && p.width > 0), 15_000)
  const later = await until(`more pictures at ${page.label}`, () => find(p => p.id === id && p.frames > frames + 20))
  assert.equal(later.width / later.height, 4 / 3)
  return id
}

const added = async (page, id) => (await page.ask('streams')).filter(e => e.event === 'add' && e.id === id)

/** gone waits until a page has seen the end of a stream: of its tracks, or of the peer that sent it. */
async function gone(page, id) {
  const [{ peer }] = await added(page, id)
  await until(`${page.label} sees the end`, async () => {
    const ends = (await page.ask('streams')).filter(e => e.event === 'gone' && e.id === id)
    return ends.length === 2 || (await page.events()).some(e => e.event === 'leave' && e.peer === peer)
  })
  return Date.now()
}

for (const room of ['session', 'server']) {
  test(`a camera by WHIP, in a room with identity ${room}`, async t => {
    const watch = async label => {
      const page = await s.page(room, { label })
      await until(`${label} is linked`, async () => (await page.peers()).length > 0)
      return page
    }
    const first = await watch('first')
    const camera = await Page.open(s.browser, s.server.url, 'camera', 'peer') // a page of the server's own
    const whip = new URL(`/genosrtc/rooms/${room}/whip`, s.server.url)
    whip.searchParams.set('meta', JSON.stringify(META))

    const session = await check(t, 'it is published', () => camera.ask('publish', whip.href))
    const id = await check(t, 'it plays in a page', () => plays(first, []))
    await check(t, 'the page is told who sends it, and what is said of it', async () => {
      const all = await added(first, id)
      assert.deepEqual(all[0].meta, META)
      assert.deepEqual(all.at(-1).kinds, ['audio', 'video'])
      assert.ok((await first.peers()).includes(all[0].peer))
    })
    const late = await watch('late')
    await check(t, 'it plays in a page that comes later', async () => assert.equal(await plays(late, []), id))
    const ends = async (name, id, options) => {
      const at = await camera.ask('unpublish', name, options)
      const took = (await Promise.all([gone(first, id), gone(late, id)])).map(seen => seen - at)
      t.diagnostic(`the end was seen after ${took.join(' and ')} ms`)
      assert.ok(Math.max(...took) < 2000, `${took} ms`)
    }
    await check(t, 'all see within 2 s that it ended by DELETE', () => ends(session, id))
    const again = await check(t, 'it is published again', () => camera.ask('publish', whip.href))
    const second = await check(t, 'it plays in both pages', async () => {
      const [one, other] = await Promise.all([plays(first, [id]), plays(late, [id])])
      assert.equal(one, other)
      return one
    })
    await check(t, 'all see within 2 s that its connection ended', () => ends(again, second, { silently: true }))
    for (const page of [first, late, camera]) await page.close()
  })
}
