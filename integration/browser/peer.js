// A small GenosRTC peer, written from docs/protocol.md, with the calls of GenosDB: the tests' pages
// run unchanged with either.

import { Room } from './room.js'
import { Relay, randomId } from './signaling.js'

// The id outlives a reload of the tab, as GenosDB's does.
const ID_KEY = '__genosrtcId'

/**
 * gdb joins the two rooms of a database. `sync: false` leaves the sync room out, in which this peer
 * links like any other but stores nothing.
 */
export async function gdb(name, { rtc: { relayUrls, sync = true }, password = '' }) {
  const id = sessionStorage.getItem(ID_KEY) ?? randomId(20)
  sessionStorage.setItem(ID_KEY, id)
  const relays = relayUrls.map(url => new Relay(url))
  const join = room => new Room({ id, name: room, password, relays })
  const room = join(`app-sync-${name}`)
  const rooms = sync ? [join(`graph-sync-room-${name}`), room] : [room]
  window.addEventListener('beforeunload', () => rooms.forEach(room => room.leave()))
  return { selfId: id, room }
}
