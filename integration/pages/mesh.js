// What a test asks of a page in a room with cells.

import { fingerprint, make } from './value.js'

/** listen notes in log.mesh what the mesh tells, and in log.seals each new topology. */
export function listen(room, log) {
  room.mesh.on('message', (data, from) => log.mesh.push({ from, data: fingerprint(data) }))
  room.on('mesh:state', ({ epoch, roster }) => log.seals.push({ epoch, peers: roster.length, at: Date.now() }))
}

/** calls are those of a page that uses the mesh; room returns its room. */
export const calls = room => ({
  meshSend: spec => void room().mesh.send(make(spec)),
  meshPing: peer => room().mesh.ping(peer),
  meshState: () => room().mesh.getState(),
  meshPeers: () => Object.fromEntries(room().mesh.getPeerInfo()),
})
