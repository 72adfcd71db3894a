// Chromium, and pages in it that take part in a room.

import { chromium } from 'playwright-core'
import { within } from './until.js'

export const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium'

// No page is slowed down because it is not looked at, and Chromium asks for nothing by itself.
const FLAGS = [
  '--disable-background-networking',
  '--disable-background-timer-throttling',
  '--disable-backgrounding-occluded-windows',
  '--disable-component-update',
  '--disable-renderer-backgrounding',
  '--no-first-run',
]
// GenosDB's STUN servers are far away. That they cannot be found is known at once, so that nothing waits.
const NO_STUN = '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1, EXCLUDE 192.0.2.1, EXCLUDE *.local'
const NO_MDNS = '--disable-features=WebRtcHideLocalIpsWithMdns'

const CAMERA = ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream']

/**
 * launch starts Chromium. With mdns, it hides local addresses from the other side, as users have it; with
 * camera, it has one, and a microphone, that it asks nobody for. executable starts it elsewhere; pages of the
 * origins in `secure` have what others have by HTTPS only.
 */
export const launch = ({ mdns = false, camera = false, executable = CHROMIUM, secure = [] } = {}) =>
  chromium.launch({
    executablePath: executable,
    chromiumSandbox: false,
    args: [
      ...FLAGS,
      NO_STUN,
      ...(mdns ? [] : [NO_MDNS]),
      ...(camera ? CAMERA : []),
      ...secure.map(origin => `--unsafely-treat-insecure-origin-as-secure=${origin}`),
    ],
  })

/** ready waits until a page can be asked. By the clock: a Chromium that paints nothing yet has no animation frames. */
export const ready = tab => tab.waitForFunction(() => window.ask, null, { polling: 50, timeout: 60_000 })

/** Page is one tab, in a browser context of its own. */
export class Page {
  id = null
  #tab
  #join

  constructor(label, kind) {
    this.label = label
    this.kind = kind
  }

  /** open loads pages/{kind}.html from `site`. Errors of our own pages are shown; GenosDB's would quote its code. */
  static async open(browser, site, label, kind) {
    const page = new Page(label, kind)
    await page.#load(await browser.newContext(), `${site}/pages/${kind}.html`)
    return page
  }

  /** join joins a database's room and resolves with the peer id. */
  async join(database, options, channels = []) {
    this.#join = [database, options, channels]
    this.id = await this.ask('join', ...this.#join)
    return this.id
  }

  send(channel, spec, { to, meta, progress = false } = {}) {
    return this.ask('send', channel, spec, to, meta, progress)
  }
  messages = () => this.ask('log', 'messages')
  events = () => this.ask('log', 'events')
  progress = () => this.ask('log', 'progress')
  peers = () => this.ask('peers')
  leave = () => this.ask('leave')
  ping = peer => within(`${this.label} pings ${peer}`, this.ask('ping', peer))

  meshSend = spec => this.ask('meshSend', spec)
  meshPing = peer => this.ask('meshPing', peer)
  meshState = () => this.ask('meshState')
  meshPeers = () => this.ask('meshPeers')
  meshMessages = () => this.ask('log', 'mesh')

  put = (id, value) => this.ask('put', id, value)
  remove = id => this.ask('remove', id)
  link = (source, target) => this.ask('link', source, target)
  get = id => this.ask('get', id)
  nodes = () => this.ask('nodes')
  count = () => this.ask('count')
  digest = () => this.ask('digest')

  /** reload is what a user's reload is: the same tab, the same peer id, a new start. */
  async reload() {
    await this.#tab.reload()
    await ready(this.#tab)
    return this.join(...this.#join)
  }

  /** reopen closes the tab and joins in another, by other relays: the same databases, another peer id. */
  async reopen(relayUrls) {
    const context = this.#tab.context()
    const url = this.#tab.url()
    await this.close()
    await this.#load(context, url)
    const [database, options, channels] = this.#join
    return this.join(database, { ...options, rtc: { ...options.rtc, relayUrls } }, channels)
  }

  /** close is what a user's closing of the tab is. */
  async close() {
    const closed = new Promise(resolve => this.#tab.once('close', resolve))
    await this.#tab.close({ runBeforeUnload: true })
    await closed
  }

  /** crash kills the page's process: nobody is told. */
  async crash() {
    const devtools = await this.#tab.context().newCDPSession(this.#tab)
    const crashed = new Promise(resolve => this.#tab.once('crash', resolve))
    devtools.send('Page.crash').catch(() => {})
    await crashed
  }

  /** tab is Playwright's page, for what only one scenario needs. */
  get tab() {
    return this.#tab
  }

  async #load(context, url) {
    const tab = (this.#tab = await context.newPage())
    if (this.kind !== 'genosdb') tab.on('pageerror', error => console.log(`# ${this.label}: ${error.message}`))
    tab.on('requestfailed', request => console.log(`# ${this.label}: ${request.url()}: ${request.failure().errorText}`))
    await tab.goto(url)
    await ready(this.#tab)
  }

  /** ask makes one of the page's calls (pages/participant.js). */
  async ask(call, ...args) {
    const asked = this.#tab.evaluate(args => window.ask(...args), [call, ...args])
    // Of Playwright's errors, the first line says it; the log of the browser follows.
    const { value, error } = await asked.catch(({ message }) => ({ error: message.split('\n')[0] }))
    if (error !== undefined) throw new Error(`${this.label}: ${call}: ${error}`)
    return value
  }
}
