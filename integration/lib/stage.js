// All that a scenario needs, put together and taken down again.

import { after, before } from 'node:test'
import { Client } from './client.js'
import { Page, launch } from './page.js'
import { startRelay } from './relay.js'
import { Server } from './server.js'
import { serve } from './static.js'

/** kind is what the pages of this run are: GenosDB where its dist folder is given, else our own peer. */
export const kind = process.env.GENOSDB_DIST ? 'genosdb' : 'peer'

/**
 * stage starts a server with the given rooms (without any, the example's) and a browser, for all tests
 * of a file. caddyfile writes one of the scenario's own.
 */
export function stage(name, { rooms = { demo: {} }, caddyfile, mdns = false, camera = false } = {}) {
  const stage = {
    server: null,

    /** open opens a page that has not joined yet. */
    open: (label = 'page', pageKind = kind) => Page.open(stage.browser, stage.site.url, label, pageKind),

    async page(room, { label = 'page', password, channels = [], cells } = {}) {
      const page = await stage.open(label)
      await page.join(room, { rtc: { relayUrls: [stage.server.relay], cells }, password }, channels)
      return page
    },

    client: (room, codec, options) => Client.join(stage.server.room(room), codec, options),
  }
  before(async () => {
    if (caddyfile) stage.server = await Server.configured(name, caddyfile)
    else stage.server = await (rooms ? Server.prepare(name, rooms) : Server.example(name))
    stage.site = await serve()
    stage.browser = await launch({ mdns, camera })
    await stage.server.start()
  })
  after(async () => {
    await stage.browser?.close()
    stage.site?.close()
    await stage.server?.close()
  })
  return stage
}

/** ownRelay is a relay of the tests' own, which carries any room; a server's carries its rooms only. */
export function ownRelay() {
  const own = { url: null }
  let relay
  before(async () => {
    relay = await startRelay()
    own.url = relay.url
  })
  after(() => relay?.close())
  return own
}

/** pagesAlone is a stage without a server: the pages meet through a relay of the tests' own. */
export function pagesAlone() {
  const stage = {
    relay: ownRelay(),

    /** open opens a page that has not joined yet. */
    open: (label = 'page', pageKind = kind) => Page.open(stage.browser, stage.site.url, label, pageKind),
  }
  before(async () => {
    stage.site = await serve()
    stage.browser = await launch()
  })
  after(async () => {
    await stage.browser?.close()
    stage.site?.close()
  })
  return stage
}
