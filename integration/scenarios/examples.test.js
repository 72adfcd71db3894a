// web/examples: one app, written for db.room, on client.js and on GenosDB (or our own peer).

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { cdn } from '../lib/cdn.js'
import { check } from '../lib/check.js'
import { stage } from '../lib/stage.js'
import { until } from '../lib/until.js'

const examples = path.resolve(import.meta.dirname, '../../web/examples')
const kinds = ['websocket', 'genosdb']
const here = stage('examples', {
  caddyfile: ({ port }) => `{
	admin off
	persist_config off
	auto_https off
	genosrtc {
		udp 127.0.0.1:${port}
	}
}
http://:${port} {
	bind 127.0.0.1
	genosrtc {
		room demo
	}
	root ${examples}
	file_server
}
`,
})

test('the pages differ in their import line alone', async () => {
  const [one, other] = await Promise.all(kinds.map(async kind => (await readFile(path.join(examples, `${kind}.html`), 'utf8')).split('\n')))
  assert.equal(one.length, other.length)
  const differ = one.filter((line, at) => line !== other[at])
  assert.deepEqual(differ, [`import { gdb } from '/genosrtc/client.js'`])
})

test('a chat and a shared cursor', async t => {
  const pages = {}
  for (const name of ['websocket', 'genosdb', 'websocket 2']) {
    const context = await here.browser.newContext()
    await cdn(context)
    const page = (pages[name] = await context.newPage())
    page.setDefaultTimeout(20_000)
    const [kind] = name.split(' ')
    if (kind !== 'genosdb') page.on('pageerror', error => console.log(`# ${name}: ${error.message}`))
    await page.goto(`${here.server.url}/${kind}.html`)
  }
  const ids = {}
  for (const [name, page] of Object.entries(pages)) {
    ids[name] = await (await page.waitForSelector('body[data-id]')).getAttribute('data-id')
  }

  await check(t, 'all see each other, and the server', async () => {
    for (const [name, page] of Object.entries(pages)) {
      await until(`${name} sees three others`, async () => (await page.locator('#people').textContent()) === '3', 20_000)
    }
  })
  for (const [from, sender] of Object.entries(pages)) {
    await check(t, `what ${from} says is shown by the others`, async () => {
      await sender.locator('#text').fill(`Hello from ${from}, 世界`)
      await sender.locator('#text').press('Enter')
      for (const [name, page] of Object.entries(pages)) {
        const author = name === from ? 'me' : ids[from].slice(0, 5)
        await page.locator('#said li', { hasText: `${author} Hello from ${from}, 世界` }).waitFor()
      }
    })
    await check(t, `where ${from} points is shown by the others`, async () => {
      const { x, y, width, height } = await sender.locator('#board').boundingBox()
      await sender.mouse.move(x + width / 2, y + height / 2)
      await sender.mouse.move(x + width / 4, y + (height * 3) / 4, { steps: 10 })
      for (const [name, page] of Object.entries(pages)) {
        if (name === from) continue
        const cursor = page.locator(`.cursor[data-peer="${ids[from]}"]`)
        await until(`${name} shows the cursor there`, async () =>
          (await cursor.count()) === 1 &&
          cursor.evaluate(({ style }) => Math.abs(parseFloat(style.left) - 25) < 1 && Math.abs(parseFloat(style.top) - 75) < 1))
      }
    })
  }
  await check(t, 'the cursor of who leaves goes', async () => {
    await pages['websocket 2'].close({ runBeforeUnload: true })
    for (const name of kinds) {
      await pages[name].locator(`.cursor[data-peer="${ids['websocket 2']}"]`).waitFor({ state: 'detached' })
    }
  })
  for (const name of kinds) await pages[name].context().close()
})
