// The chaos program (bench/chaos), with browser pages among its sessions.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { kind } from './stage.js'
import { Page, launch } from './page.js'
import { serve } from './static.js'

const root = path.resolve(import.meta.dirname, '../..')
const caddy = process.env.SERVER_CMD ?? path.join(root, 'build/caddy-race')
const rooms = ['mesh', 'plain']

/** chaos runs the program with so many pages in each room, and rejects unless it ends with 0. */
export async function chaos(t, args, pagesEach = 0) {
  const program = [...(pagesEach ? ['-pages'] : []), '-caddy', caddy, ...args]
  const child = spawn(path.join(root, 'build/chaos'), program, { cwd: root, stdio: ['pipe', 'pipe', 'inherit'] })
  t.after(() => child.kill())
  const ended = once(child, 'close')
  let browser, site
  t.after(async () => {
    await browser?.close()
    site?.close()
  })
  const pages = {}

  /** open joins the pages, and answers with their ids by room. */
  async function open(port) {
    site = await serve()
    browser = await launch()
    const ids = {}
    for (const room of rooms) {
      for (let n = 0; n < pagesEach; n++) {
        const page = await Page.open(browser, site.url, `page ${n} of ${room}`, kind)
        const id = await page.join(room, { rtc: { relayUrls: [`ws://localhost:${port}/genosrtc/relay`] } }, ['all'])
        ;(ids[room] ??= []).push(id)
        pages[id] = page
      }
    }
    return ids
  }

  /** collect answers with the numbers of what each page got: [[session, number], ...]. */
  async function collect() {
    const logs = {}
    for (const [id, page] of Object.entries(pages)) {
      logs[id] = (await page.messages()).map(({ data }) => {
        const { s, n } = JSON.parse(data.slice('json '.length))
        return [s, n]
      })
    }
    return logs
  }

  for await (const line of createInterface({ input: child.stdout })) {
    const [word, value] = line.split(' ')
    if (word === 'open') child.stdin.write(`${JSON.stringify(await open(value))}\n`)
    else if (word === 'collect') child.stdin.write(`${JSON.stringify(await collect())}\n`)
    else t.diagnostic(line)
  }
  const [code, signal] = await ended
  if (code !== 0) throw new Error(`the chaos program ended with ${code ?? signal}`)
}
