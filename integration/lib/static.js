// Serves the pages, and GenosDB's dist folder where GENOSDB_DIST names one.

import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import http from 'node:http'
import path from 'node:path'

const root = path.resolve(import.meta.dirname, '..')
const folders = {
  pages: path.join(root, 'pages'),
  browser: path.join(root, 'browser'),
  node_modules: path.join(root, 'node_modules'),
  dist: process.env.GENOSDB_DIST,
}
const types = { '.html': 'text/html', '.js': 'text/javascript', '.json': 'application/json', '.wasm': 'application/wasm' }

/** serve starts the server and resolves with its address. */
export async function serve() {
  const server = http.createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost')
    const [, folder, ...rest] = path.posix.normalize(decodeURIComponent(pathname)).split('/')
    const file = folders[folder] && path.join(folders[folder], ...rest)
    const found = file && (await stat(file).catch(() => null))
    if (!found?.isFile()) return response.writeHead(404).end()
    response.writeHead(200, { 'Content-Type': types[path.extname(file)] ?? 'application/octet-stream' })
    createReadStream(file).pipe(response)
  })
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://localhost:${server.address().port}`,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}
