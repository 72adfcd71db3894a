// Stands in for the CDN of which examples/genosdb.html imports GenosDB: what comes is the folder
// GENOSDB_DIST, or our own independent peer.

import { readFile } from 'node:fs/promises'
import path from 'node:path'

const root = path.resolve(import.meta.dirname, '..')
const dist = '/npm/genosdb@latest/dist/'

export const cdn = context =>
  context.route('https://cdn.jsdelivr.net/**', async route => {
    const { pathname } = new URL(route.request().url())
    const headers = { 'Access-Control-Allow-Origin': '*', 'Content-Type': 'text/javascript' }
    if (pathname.startsWith(dist) && process.env.GENOSDB_DIST) {
      const body = await readFile(path.join(process.env.GENOSDB_DIST, pathname.slice(dist.length)))
      return route.fulfill({ headers, body })
    }
    if (pathname.startsWith(dist)) return route.fulfill({ headers, body: `export * from '/browser/peer.js'` })
    const text = await readFile(path.join(root, pathname), 'utf8')
    return route.fulfill({ headers, body: text.replaceAll(/'@noble\//g, `'/node_modules/@noble/`) })
  })
