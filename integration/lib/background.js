// A page in a tab that can be hidden and frozen, as Chromium does it to users. Playwright's pages
// always believe that they are looked at, so this one is steered by hand.
// https://chromedevtools.github.io/devtools-protocol/

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import WebSocket from 'ws'
import { CHROMIUM } from './page.js'
import { until } from './until.js'

export class BackgroundPage {
  #browser
  #profile
  #socket
  #lastId = 0
  #tab
  #other
  #session

  /** open starts a browser of its own, and loads the address in a tab that is in front. */
  static async open(address) {
    const page = new BackgroundPage()
    await page.#start()
    page.#other = await page.#newTab('about:blank')
    page.#tab = await page.#newTab(address)
    page.#session = (await page.#say('Target.attachToTarget', { targetId: page.#tab, flatten: true })).sessionId
    await until('the page is there', () => page.evaluate(`typeof window.ask === 'function'`))
    return page
  }

  async #start() {
    this.#profile = await mkdtemp(path.join(os.tmpdir(), 'background-'))
    const flags = ['--headless=new', '--no-sandbox', '--no-first-run', '--disable-background-networking', '--disable-component-update']
    this.#browser = spawn(CHROMIUM, [...flags, '--remote-debugging-port=0', `--user-data-dir=${this.#profile}`], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    for await (const line of createInterface({ input: this.#browser.stderr })) {
      const [, url] = /listening on (ws:\S+)/.exec(line) ?? []
      if (!url) continue
      this.#socket = new WebSocket(url)
      break
    }
    this.#browser.stderr.resume()
    await once(this.#socket, 'open')
  }

  /** ask makes one of the page's calls (pages/participant.js). */
  async ask(...call) {
    const { value, error } = await this.evaluate(`window.ask(...${JSON.stringify(call)})`)
    if (error !== undefined) throw new Error(`${call[0]}: ${error}`)
    return value
  }

  async evaluate(expression) {
    const { result } = await this.#say('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true }, this.#session)
    return result.value
  }

  /** hide brings another tab to the front. */
  async hide() {
    await this.#say('Target.activateTarget', { targetId: this.#other })
    await until('the page is hidden', () => this.evaluate('document.hidden'))
  }
  async show() {
    await this.#say('Target.activateTarget', { targetId: this.#tab })
    await until('the page is shown', () => this.evaluate('!document.hidden'))
  }

  /** freeze stops all that runs in the hidden page. */
  freeze = () => this.#say('Page.setWebLifecycleState', { state: 'frozen' }, this.#session)
  thaw = () => this.#say('Page.setWebLifecycleState', { state: 'active' }, this.#session)

  async close() {
    this.#socket.terminate()
    this.#browser.kill()
    await once(this.#browser, 'exit')
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 20 })
  }

  async #newTab(url) {
    return (await this.#say('Target.createTarget', { url })).targetId
  }

  #say(method, params, sessionId) {
    const id = ++this.#lastId
    this.#socket.send(JSON.stringify({ id, method, params, sessionId }))
    return new Promise((resolve, reject) => {
      const answer = data => {
        const message = JSON.parse(data)
        if (message.id !== id) return
        this.#socket.off('message', answer)
        if (message.error) reject(new Error(`${method}: ${message.error.message}`))
        else resolve(message.result)
      }
      this.#socket.on('message', answer)
    })
  }
}
