// What a test asks of a page, whatever gdb it runs: join, send, and a log of all that it was told.

import { calls as graph } from './graph.js'
import { calls as media, show } from './media.js'
import { listen, calls as mesh } from './mesh.js'
import { calls as traffic } from './traffic.js'
import { fingerprint, make } from './value.js'

/** install answers window.ask(call, ...args); more are calls of a special page. */
export function install(gdb, more = {}) {
  const log = { events: [], messages: [], progress: [], changes: [], mesh: [], streams: [] }
  let db, room

  const calls = {
    /** join resolves with the peer id, once gdb() has returned. */
    async join(database, options, channels) {
      db = await gdb(database, options)
      const joined = performance.now()
      room = db.room
      for (const event of ['join', 'leave', 'seen', 'lost']) {
        room.on(`peer:${event}`, (peer, type = null) =>
          log.events.push({ event, peer, type, after: performance.now() - joined }),
        )
      }
      room.on('stream:add', (stream, peer, meta = null) => show(log.streams, stream, peer, meta))
      for (const name of channels) {
        const channel = room.channel(name)
        channel.on('message', (data, from, meta = null) =>
          log.messages.push({ channel: name, from, data: fingerprint(data), meta }),
        )
        channel.on('progress', (fraction, peer, meta = null) =>
          log.progress.push({ way: 'in', channel: name, peer, fraction, meta }),
        )
      }
      if (room.mesh?.on) listen(room, log)
      return db.selfId
    },
    async send(name, spec, to, meta, wantsProgress) {
      const note = (fraction, peer) => log.progress.push({ way: 'out', channel: name, peer, fraction, meta: null })
      await room.channel(name).send(make(spec), to, meta, wantsProgress ? note : undefined)
    },
    log: part => log[part],
    ping: peer => room.ping(peer),
    peers: () => Object.keys(room.getPeers()),
    leave: () => room.leave(),
    ...graph(() => db, log.changes),
    ...mesh(() => room),
    ...media(log.streams),
    ...traffic(() => room),
    ...more,
  }
  // A message of an error is told, a stack is not: it could quote the code of the library under test.
  window.ask = async (call, ...args) => {
    try {
      return { value: (await calls[call](...args)) ?? null }
    } catch (error) {
      return { error: String(error?.message ?? error) }
    }
  }
}
