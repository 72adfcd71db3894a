// An independent Nostr client that notes who says goodbye in a room.

import { once } from 'node:events'
import WebSocket from 'ws'
import { kind, rootTopic } from '../browser/signaling.js'

/** listen resolves with a Map of peer ids to when they said goodbye, which grows, and close. */
export async function listen(relay, database) {
  const topic = rootTopic(`app-sync-${database}`)
  const socket = new WebSocket(relay)
  const byes = new Map()
  socket.on('message', text => {
    const [type, , event] = JSON.parse(text)
    if (type !== 'EVENT') return
    const { peerId, bye } = JSON.parse(event.content)
    if (bye && !byes.has(peerId)) byes.set(peerId, Date.now())
  })
  await once(socket, 'open')
  socket.send(JSON.stringify(['REQ', 'byes', { kinds: [kind(topic)], '#x': [topic] }]))
  await once(socket, 'message') // EOSE
  return { byes, close: () => socket.terminate() }
}
