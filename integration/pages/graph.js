// What a test asks of a page's database. Nodes that tests compare are in the order of their ids, and
// without edges to nodes that are gone: peers may differ in those (docs/protocol.md, "Graph sync").

import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'

/** calls are those of a page whose database is db(); changes gets what its watcher hears. */
export const calls = (db, changes) => ({
  put: (id, value) => db().put(value, id),
  remove: id => db().remove(id),
  link: (source, target) => db().link(source, target),
  get: async id => (await db().get(id)).result,
  nodes: () => nodes(db()),
  count: async () => (await db().map({})).results.length,
  digest: async () => digest(await nodes(db())),

  /** watch notes in the log `changes` what db.map tells from now on. */
  async watch() {
    await db().map({}, ({ id, value, action }) => changes.push({ id, value, action, at: Date.now() }))
  },

  /** fill makes the nodes of `made`, as fast as others can hear of them. */
  async fill(from, to) {
    for (let n = from; n < to; n++) {
      const { id, value, edges } = made(n)
      await db().put(value, id)
      for (const edge of edges) await db().link(id, edge)
      if (n % 250 === 249) await new Promise(resolve => setTimeout(resolve, 20))
    }
  },
})

/** made is the nth of many nodes of 300 bytes, every tenth with edges to others before it. */
export function made(n) {
  const value = { n, kind: ['sensor', 'room', 'note'][n % 3], on: n % 2 === 0, at: { x: n / 7, y: 1 - n }, text: text(n) }
  const edges = n % 10 === 9 ? [n - 1, n - 3, n >> 1].map(name) : []
  return { id: name(n), value, edges }
}

/** digest is equal for equal nodes only. */
export const digest = nodes => ({
  count: nodes.length,
  sha256: bytesToHex(sha256(utf8ToBytes(JSON.stringify(nodes.map(({ id, value, edges }) => [id, sorted(value), edges]))))),
})

/** compared returns nodes as they are compared. */
export function compared(nodes) {
  const ids = new Set(nodes.map(({ id }) => id))
  return nodes
    .map(({ id, value, edges, timestamp }) => ({ id, value, edges: edges.filter(edge => ids.has(edge)).sort(), timestamp }))
    .sort((a, b) => (a.id < b.id ? -1 : 1))
}

const nodes = async db => compared((await db.map({})).results)

const name = n => `node-${String(n).padStart(6, '0')}`

// No compressor makes much of it.
function text(n) {
  let state = n + 1
  return Array.from({ length: 220 }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return String.fromCharCode(48 + ((state >>> 24) % 75))
  }).join('')
}

const sorted = value =>
  value && typeof value === 'object' && !Array.isArray(value)
    ? Object.fromEntries(Object.keys(value).sort().map(key => [key, sorted(value[key])]))
    : value
