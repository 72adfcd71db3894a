// What a test asks of a page in a room with cells.

import { fingerprint, make } from './value.js'

/** listen notes in log.mesh what the mesh tells. */
export function listen(room, log) {
  room.mesh.on('message', (data, from) => log.mesh.push({ from, data: fingerprint(data) }))
}

/** calls are those of a page that uses the mesh; room returns its room. */
export const calls = room => ({
  meshSend: spec => void room().mesh.send(make(spec)),
  meshPing: peer => room().mesh.ping(peer),
  meshState: () => room().mesh.getState(),
  meshPeers: () => Object.fromEntries(room().mesh.getPeerInfo()),
})
