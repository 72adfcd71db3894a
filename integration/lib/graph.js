// The graphs of pages, and the server's over HTTP.

import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import { until } from './until.js'

/** converge waits until all pages have the same nodes, those for which `enough` is true, and resolves with them. */
export function converge(pages, enough = () => true, timeout = 20_000) {
  let all
  return until(`${pages.map(({ label }) => label).join(', ')} have the same nodes`, async () => {
    all = await Promise.all(pages.map(page => page.nodes()))
    const [first, ...others] = all
    return enough(first) && others.every(nodes => isDeepStrictEqual(plain(nodes), plain(first))) && first
  }, timeout).catch(error => {
    throw new Error(`${error.message}: ${all.map((nodes, i) => `${pages[i].label} has ${differing(nodes, all)}`).join('; ')}`)
  })
}

// What is not the same in all, and how many there are.
function differing(nodes, all) {
  const texts = all.map(nodes => new Set(plain(nodes).map(node => JSON.stringify(node))))
  const odd = plain(nodes).map(node => JSON.stringify(node)).filter(text => !texts.every(set => set.has(text)))
  return `${nodes.length}, ${odd.length} of them unlike: ${odd.slice(0, 3)}`
}

/** has waits until a page has these nodes and no other. */
export async function has(page, nodes, timeout = 20_000) {
  let seen
  try {
    await until(`${page.label} has all nodes`, async () => {
      seen = await page.nodes()
      return isDeepStrictEqual(plain(seen), plain(nodes))
    }, timeout)
  } catch {
    assert.deepEqual(plain(seen), plain(nodes))
  }
}

/**
 * digested waits until a page has the nodes of which that is the digest: for many nodes, of which
 * the one with the id last is among the last to come. To list them all costs the page much time.
 */
export async function digested(page, { count, sha256 }, last, timeout) {
  await until(`${page.label} has ${last}`, () => page.get(last), timeout)
  let have
  await until(`${page.label} has ${count} nodes`, async () => {
    have = await page.digest()
    return have.sha256 === sha256
  }, 20_000).catch(error => {
    throw new Error(`${error.message}: it has ${have.count}`)
  })
}

// Timestamps are the peers' own business.
const plain = nodes => nodes.map(({ id, value, edges }) => ({ id, value, edges }))

/** Graph is the graph of a room over HTTP. */
export class Graph {
  #url

  constructor(server, room) {
    this.#url = `${server.url}/genosrtc/rooms/${encodeURIComponent(room)}/graph`
  }

  /** put resolves when the server has acknowledged it. */
  async put(id, value) {
    const response = await this.#fetch(`/${encodeURIComponent(id)}`, { method: 'PUT', body: JSON.stringify(value) })
    assert.ok(response.ok, `PUT ${id}: ${response.status} ${await response.text()}`)
  }

  async remove(id) {
    const response = await this.#fetch(`/${encodeURIComponent(id)}`, { method: 'DELETE' })
    assert.ok(response.ok, `DELETE ${id}: ${response.status} ${await response.text()}`)
  }

  /** get resolves with a node, or null. */
  async get(id) {
    const response = await this.#fetch(`/${encodeURIComponent(id)}`)
    if (response.status === 404) return null
    assert.ok(response.ok, `GET ${id}: ${response.status}`)
    return response.json()
  }

  /** events calls heard with each event {type, id, data} of the stream; it ends when signal does. */
  async events(heard, signal) {
    const response = await this.#fetch('/events', { signal, headers: { Accept: 'text/event-stream' } })
    assert.equal(response.status, 200)
    void read(response.body, heard).catch(() => {})
  }

  #fetch = (path, options = {}) =>
    fetch(this.#url + path, { ...options, headers: { 'Content-Type': 'application/json', ...options.headers } })
}

async function read(body, heard) {
  let text = ''
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    const events = (text + chunk).split('\n\n')
    text = events.pop()
    for (const event of events) {
      const fields = Object.fromEntries(event.split('\n').map(line => line.match(/^(\w*): ?(.*)$/)?.slice(1) ?? ['', '']))
      heard({ type: fields.event ?? 'message', id: fields.id, data: fields.data && JSON.parse(fields.data) })
    }
  }
}
