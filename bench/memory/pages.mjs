// Real GenosDB pages for bench/memory. It takes a line of JSON for each question, and answers with one:
// {relay, database, nodes, last, patience}: how a fresh page gets so many nodes, of which the one with
// the id last is the youngest -> {ms, bytes}; or {have} nodes when patience (ms) is over.

import readline from 'node:readline'
import { launch } from '../../integration/lib/page.js'
import { serve } from '../../integration/lib/static.js'

const site = await serve()
const browser = await launch()

/** watch runs in the page before all else: it notes when links open, and what comes over them. */
function watch() {
  const links = (window.links = [])
  const name = new TextEncoder().encode('syncGraph')
  const note = channel => {
    const link = { opened: null, bytes: 0, sync: false }
    links.push(link)
    channel.addEventListener('open', () => (link.opened = performance.now()))
    channel.addEventListener('message', ({ data }) => {
      link.bytes += data.byteLength
      link.sync ||= name.every((byte, i) => new Uint8Array(data, 0, name.length)[i] === byte)
    })
    return channel
  }
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...args) {
      super(...args)
      this.addEventListener('datachannel', ({ channel }) => note(channel))
    }
    createDataChannel(...args) {
      return note(super.createDataChannel(...args))
    }
  }
}

/**
 * join runs in the page. To count all nodes costs much, and to be told of each costs more: what is
 * looked for is the last one, and only then they are counted.
 */
async function join({ relay, database, nodes, last }) {
  const { gdb } = await import('/dist/index.js')
  const db = await gdb(database, { rtc: { relayUrls: [relay] } })
  window.count = async () => (await db.map()).results.length
  const look = async () => {
    if ((await db.get(last)).result) {
      const now = performance.now()
      if ((await window.count()) >= nodes) return (window.whole = now)
    }
    setTimeout(look, 20)
  }
  void look()
}

async function catchUp({ patience, ...task }) {
  const context = await browser.newContext()
  try {
    const tab = await context.newPage()
    await tab.addInitScript(watch)
    await tab.goto(`${site.url}/pages/genosdb.html`)
    await tab.evaluate(join, task)
    const whole = await tab.waitForFunction(() => window.whole, null, { timeout: patience, polling: 50 }).catch(() => null)
    if (!whole) return { have: await tab.evaluate(() => window.count()) }
    return await tab.evaluate(() => {
      const link = window.links.find(({ sync }) => sync)
      return { ms: window.whole - link.opened, bytes: link.bytes }
    })
  } finally {
    await context.close()
  }
}

// The first page of a browser takes longer.
await catchUp({ relay: 'ws://127.0.0.1:9', database: 'none', nodes: 1, last: 'none', patience: 2000 })

for await (const line of readline.createInterface({ input: process.stdin })) {
  // Of an error, the first line says it; what follows could quote the code of the library under test.
  const answer = await catchUp(JSON.parse(line)).catch(({ message }) => ({ error: message.split('\n')[0] }))
  console.log(JSON.stringify(answer))
}
await browser.close()
site.close()
