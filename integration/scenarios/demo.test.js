// The example as it stands: a chat and files pass between its demo page and a peer.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { check } from '../lib/check.js'
import { serverOf } from '../lib/presence.js'
import { stage } from '../lib/stage.js'
import { until } from '../lib/until.js'
import { fingerprint, make } from '../pages/value.js'

const file = { random: 700_000 }
const here = stage('demo', { rooms: null })

test('the demo page of caddy/Caddyfile.example', async t => {
  const page = await here.page('demo', { label: 'page', channels: ['chat', 'file'] })
  const demo = await (await here.browser.newContext()).newPage()
  const errors = []
  demo.on('pageerror', error => errors.push(error.message))
  demo.on('console', message => message.type() === 'error' && errors.push(message.text()))
  await demo.goto(here.server.url)
  const entries = demo.locator('#entries')
  let self

  await check(t, 'it connects, and shows who is here', async () => {
    await demo.locator('#status[data-state=open]').waitFor()
    await demo.locator(`#roster [data-kind=browser][data-peer="${page.id}"]`).waitFor()
    await demo.locator(`#roster [data-kind=superpeer][data-peer="${await serverOf(page)}"]`).waitFor()
    self = await demo.locator('#roster [data-kind=self]').getAttribute('data-peer')
    await until('the page sees it', async () => (await page.peers()).includes(self))
  })
  await check(t, 'what is typed arrives', async () => {
    await demo.locator('#text').fill('Hello, 世界')
    await demo.locator('#text').press('Enter')
    const said = await until('the page hears it', async () => (await page.messages())[0])
    assert.equal(said.from, self)
    assert.equal(JSON.parse(said.data.replace(/^json /, '')).text, 'Hello, 世界')
  })
  await check(t, 'what a page says is shown', async () => {
    await page.send('chat', { value: { text: 'Hello, demo <b>page</b>', name: 'Ada' } })
    await entries.getByText('Hello, demo <b>page</b>').waitFor()
  })
  await check(t, 'a file from the demo page arrives, with progress', async () => {
    const buffer = Buffer.from(make(file))
    await demo.locator('#files').setInputFiles({ name: 'from demo.bin', mimeType: 'application/x-test', buffer })
    const got = await until('the page has it', async () =>
      (await page.messages()).find(({ channel }) => channel === 'file'), 20_000)
    assert.equal(got.data, fingerprint(make(file)))
    assert.equal(got.meta.name, 'from demo.bin')
    assert.equal(got.meta.size, buffer.length)
    assert.ok((await page.progress()).filter(({ channel }) => channel === 'file').length > 1)
    await entries.getByText('from demo.bin').waitFor()
  })
  await check(t, 'a file from a page is shown with its progress, and can be saved', async () => {
    await demo.evaluate(watchBars)
    const meta = { name: 'from page.bin', type: 'application/x-test', size: file.random, id: 'f1' }
    await page.send('file', file, { meta })
    const link = entries.locator('a[download="from page.bin"]')
    await link.waitFor()
    const [download] = await Promise.all([demo.waitForEvent('download'), link.click()])
    assert.equal(fingerprint(new Uint8Array(await readFile(await download.path()))), fingerprint(make(file)))
    const values = await demo.evaluate(() => window.bars)
    assert.ok(values.length > 1, `the bar showed ${values}`)
  })
  await check(t, 'a page that goes disappears', async () => {
    await page.close()
    await demo.locator(`#roster [data-peer="${page.id}"]`).waitFor({ state: 'detached' })
  })
  await check(t, 'its console has no errors', () => assert.deepEqual(errors, []))
})

test('a file of 20 MB between two demo pages, while the server is killed and started again', async t => {
  const large = { random: 20_000_000 }
  const demos = []
  for (let n = 0; n < 2; n++) {
    const demo = await (await here.browser.newContext()).newPage()
    await demo.goto(here.server.url)
    await demo.locator('#status[data-state=open]').waitFor()
    demos.push(demo)
  }
  const [sender, receiver] = demos
  const self = demo => demo.locator('#roster [data-kind=self]:not([data-peer=""])').getAttribute('data-peer')
  const ids = await Promise.all(demos.map(self))
  await sender.locator(`#roster [data-peer="${ids[1]}"]`).waitFor()
  for (const demo of demos) await demo.evaluate(watchBars)
  const shows = (demo, fraction) =>
    demo.waitForFunction(least => window.bars.at(-1) >= least, fraction, { polling: 20 })

  await check(t, 'bars rise at both ends', async () => {
    const buffer = Buffer.from(make(large))
    await sender.locator('#files').setInputFiles({ name: 'large.bin', mimeType: 'application/x-test', buffer })
    for (const demo of demos) await shows(demo, 0.2)
  })
  await check(t, 'the server is killed in the middle', async () => {
    await here.server.kill()
    for (const demo of demos) await demo.locator('#status[data-state=reconnecting]').waitFor()
    for (const demo of demos) assert.ok((await demo.evaluate(() => window.bars.at(-1))) < 1)
    for (const demo of demos) await demo.getByText(/Next try in \d+ s/).waitFor()
  })
  await check(t, 'started again, both pages are who they were, and the file arrives', async () => {
    await here.server.start()
    const link = receiver.locator('#entries a[download="large.bin"]')
    await link.waitFor({ timeout: 60_000 })
    const [download] = await Promise.all([receiver.waitForEvent('download'), link.click()])
    assert.equal(fingerprint(new Uint8Array(await readFile(await download.path()))), fingerprint(make(large)))
    await sender.getByText(/delivered to \d peer/).waitFor()
    assert.deepEqual(await Promise.all(demos.map(self)), ids)
  })
  await check(t, 'the bars went on where they were', async () => {
    for (const demo of demos) {
      const values = await demo.evaluate(() => window.bars)
      assert.deepEqual(values, values.toSorted((a, b) => a - b))
      assert.ok(values.length > 20, `the bar showed ${values}`)
    }
  })
  for (const demo of demos) await demo.close()
})

// Collects what progress bars show from now on.
function watchBars() {
  window.bars = []
  new MutationObserver(records => {
    for (const { target } of records) if (target.localName === 'progress') window.bars.push(target.value)
  }).observe(document.getElementById('entries'), { subtree: true, attributes: true, attributeFilter: ['value'] })
}
