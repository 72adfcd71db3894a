// What is asked of the server's process from outside.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import http from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

const ADMIN = 'http://localhost:2019'

/** goroutines resolves with their number, the least of some samples: what comes and goes is not counted. */
export async function goroutines() {
  let least = Infinity
  for (let i = 0; i < 5; i++) {
    const [, total] = /total (\d+)/.exec(await get(`${ADMIN}/debug/pprof/goroutine?debug=1`))
    least = Math.min(least, Number(total))
    await sleep(300)
  }
  return least
}

/** resident is the process's resident memory, in KiB. */
export async function resident(server) {
  const status = await readFile(`/proc/${server.pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)[1])
}

/** heap resolves with the KiB that are live after a garbage collection. */
export async function heap() {
  const profile = await get(`${ADMIN}/debug/pprof/heap?gc=1&debug=1`)
  return Math.round(Number(/^# HeapAlloc = (\d+)/m.exec(profile)[1]) / 1024)
}

/** linksOpen resolves with the WebRTC connections that the server has, in any state. */
export async function linksOpen() {
  const metrics = await get(`${ADMIN}/metrics`)
  return [...metrics.matchAll(/^caddy_genosrtc_links\{.*\} (\d+)$/gm)].reduce((sum, [, n]) => sum + Number(n), 0)
}

/** load gives a Caddyfile to the admin API, and resolves with {ok, said}. */
export const load = caddyfile =>
  new Promise((resolve, reject) => {
    const headers = { 'Content-Type': 'text/caddyfile', 'Cache-Control': 'must-revalidate' } // even if it is the same
    const request = http.request(`${ADMIN}/load`, { method: 'POST', agent: false, headers }, response => {
      let said = ''
      response.setEncoding('utf8').on('data', text => (said += text))
      response.on('end', () => resolve({ ok: response.statusCode === 200, said })).on('error', reject)
    })
    request.on('error', reject).end(caddyfile)
  })

// Each request has a connection of its own, so that none is left idle and counted.
const get = url =>
  new Promise((resolve, reject) => {
    http.get(url, { agent: false }, response => {
      let body = ''
      assert.equal(response.statusCode, 200, url)
      response.setEncoding('utf8').on('data', chunk => (body += chunk)).on('end', () => resolve(body))
    }).on('error', reject)
  })
