// A small GenosRTC peer, written from docs/protocol.md, with the calls of GenosDB: the tests' pages
// run unchanged with either.

import { Graph } from './graph.js'
import { Room } from './room.js'
import { Relay, randomId } from './signaling.js'
import { Storage } from './storage.js'
import { Sync } from './sync.js'

// The id outlives a reload of the tab, as GenosDB's does.
const ID_KEY = '__genosrtcId'

/**
 * gdb joins the two rooms of a database. `cells` is true or {cellSize}; `sync: false` leaves the sync
 * room out: nobody hears of the graph.
 */
export async function gdb(name, { rtc: { relayUrls, turnConfig, sync = true, cells }, password = '' }) {
  const id = sessionStorage.getItem(ID_KEY) ?? randomId(20)
  sessionStorage.setItem(ID_KEY, id)
  const watchers = new Set()
  const storage = await Storage.open(name)
  const graph = new Graph(await storage.load(), (action, node) => {
    storage.save(() => graph.state)
    for (const watcher of watchers) watcher({ ...node, action })
  })
  const relays = relayUrls.map(url => new Relay(url))
  const join = room => new Room({ id, name: room, password, relays, turnConfig, cells })
  const room = join(`app-sync-${name}`)
  const rooms = [room]
  let shared
  if (sync) {
    rooms.unshift(join(`graph-sync-room-${name}`))
    shared = new Sync(rooms[0], graph)
  }
  window.addEventListener('beforeunload', () => rooms.forEach(room => room.leave()))
  const tell = op => shared?.local(op)
  return {
    selfId: id,
    room,
    async put(value, id = crypto.randomUUID()) {
      tell(graph.put(id, value))
      return id
    },
    get: async id => ({ result: graph.nodes.get(id) ?? null }),
    remove: async id => tell(graph.remove(id)),
    link: async (source, target) => tell(graph.link(source, target)),
    /** map resolves with all nodes; watcher hears of those, and of each change from now on. */
    async map(_, watcher) {
      const results = [...graph.nodes.values()]
      if (watcher) {
        for (const node of results) watcher({ ...node, action: 'initial' })
        watchers.add(watcher)
      }
      return { results }
    },
  }
}
