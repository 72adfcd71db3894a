// A Nostr relay for tests of the pages alone: it checks and forwards events, and keeps nothing.

import { schnorr } from '@noble/curves/secp256k1.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import { WebSocketServer } from 'ws'

/** startRelay resolves with {url, close}; port 0 takes any. */
export async function startRelay(port = 0) {
  const server = new WebSocketServer({ port, host: '127.0.0.1' })
  await new Promise((resolve, reject) => server.once('listening', resolve).once('error', reject))
  server.on('connection', socket => {
    socket.subscriptions = new Map()
    socket.on('message', text => {
      const [type, ...rest] = JSON.parse(text)
      handlers[type]?.(server, socket, ...rest)
    })
  })
  return {
    url: `ws://127.0.0.1:${server.address().port}`,
    close() {
      server.clients.forEach(socket => socket.terminate())
      server.close()
    },
  }
}

const reply = (socket, ...message) => socket.send(JSON.stringify(message))

const handlers = {
  REQ(_, socket, id, ...filters) {
    socket.subscriptions.set(id, filters)
    reply(socket, 'EOSE', id)
  },
  CLOSE(_, socket, id) {
    socket.subscriptions.delete(id)
  },
  EVENT(server, socket, event) {
    if (!authentic(event)) return reply(socket, 'OK', event.id, false, 'invalid: id or signature')
    reply(socket, 'OK', event.id, true, '')
    for (const client of server.clients) {
      for (const [id, filters] of client.subscriptions) {
        if (filters.some(filter => matches(filter, event))) reply(client, 'EVENT', id, event)
      }
    }
  },
}

function authentic({ id, pubkey, created_at, kind, tags, content, sig }) {
  const hash = sha256(utf8ToBytes(JSON.stringify([0, pubkey, created_at, kind, tags, content])))
  return bytesToHex(hash) === id && schnorr.verify(hexToBytes(sig), hash, hexToBytes(pubkey))
}

const matches = (filter, event) =>
  filter.kinds.includes(event.kind) && event.tags.some(([name, value]) => name === 'x' && filter['#x'].includes(value))
