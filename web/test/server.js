// A small server of the session protocol (docs/gateway.md) that lives in the test's process. It
// is written from that page and shares nothing with the client but the MessagePack library.

import { createServer, STATUS_CODES } from 'node:http'
import { decode, encode } from '@msgpack/msgpack'
import { WebSocketServer } from 'ws'

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
export const newId = (first = '0') => first + Array.from({ length: 19 }, () => alphabet[Math.floor(Math.random() * 62)]).join('')

const codecs = {
  'genosrtc.v1.msgpack': { encode: (message) => encode(message), decode: (bytes) => decode(bytes) },
  'genosrtc.v1.json': {
    encode: (message) => JSON.stringify(message.op === 'message' ? { ...message, data: wrap(message.data) } : message),
    decode(bytes) {
      const message = JSON.parse(bytes.toString())
      if (message.op === 'send') message.data = unwrap(message.data)
      return message
    },
  },
}
const wrap = (data) => {
  if (data instanceof Uint8Array) return { $bin: Buffer.from(data).toString('base64') }
  return data?.$bin !== undefined || data?.$map !== undefined ? { $map: data } : data
}
const unwrap = (data) => (typeof data?.$bin === 'string' ? new Uint8Array(Buffer.from(data.$bin, 'base64')) : (data?.$map ?? data))

/** A participant of another kind than a session, run by the test. */
export class FakePeer {
  constructor(server, type, onMessage = () => {}) {
    Object.assign(this, { server, type, onMessage, id: newId(type === 'superpeer' ? '0' : '2') })
  }

  say(channel, data, meta) {
    this.server.deliver(this, { channel, data, meta })
  }
}

export class TestServer {
  rooms = new Map([['demo', {}]])
  peers = new Map() // id -> Session or FakePeer
  dials = [] // when each WebSocket was asked for
  refusal = null // { status, headers, detail }: answers every request
  silent = false // no answer to anything
  holdAcks = false
  limits = { message: 2_097_152, pending: 8_388_608 }
  lastSeq = 0

  static async start(port = 0) {
    const server = new TestServer()
    await server.listen(port)
    return server
  }

  async listen(port) {
    this.sockets = new WebSocketServer({ noServer: true, handleProtocols: (names) => Object.keys(codecs).find((name) => names.has(name)) })
    this.http = createServer((request, response) => {
      const { status, headers, detail } = this.refuses(request) ?? { status: 426, headers: {} }
      response.writeHead(status, { 'Content-Type': 'application/problem+json', ...headers }).end(JSON.stringify({ status, detail }))
    })
    this.http.on('upgrade', (request, socket, head) => {
      this.dials.push(performance.now())
      const refused = this.refuses(request)
      if (refused) return socket.end(`HTTP/1.1 ${refused.status} ${STATUS_CODES[refused.status]}\r\nContent-Length: 0\r\n\r\n`)
      this.sockets.handleUpgrade(request, socket, head, (ws) => new Session(this, ws, this.roomOf(request)))
    })
    await new Promise((resolve) => this.http.listen(port, '127.0.0.1', resolve))
    this.port = this.http.address().port
    this.url = `http://127.0.0.1:${this.port}/genosrtc`
  }

  async close() {
    this.drop()
    await new Promise((resolve) => this.http.close(resolve))
  }

  roomOf(request) {
    const [, name] = /^\/genosrtc\/rooms\/([^/]+)\/ws$/.exec(request.url) ?? []
    return name && decodeURIComponent(name)
  }

  refuses(request) {
    if (this.refusal) return this.refusal
    return this.rooms.has(this.roomOf(request)) ? null : { status: 404, headers: {}, detail: `no room ${this.roomOf(request)}` }
  }

  get sessions() {
    return [...this.peers.values()].filter((peer) => peer instanceof Session)
  }

  /** Loses every socket, as a dying network does. */
  drop() {
    for (const ws of this.sockets.clients) ws.terminate()
  }

  enter(peer) {
    this.peers.set(peer.id, peer)
    this.announce('join', peer)
    return peer
  }

  part(peer) {
    if (this.peers.delete(peer.id)) this.announce('leave', peer)
  }

  announce(event, peer) {
    for (const session of this.sessions) {
      if (session !== peer) session.tell({ op: 'peer', event, peer: peer.id, ...(peer.type && { type: peer.type }) })
    }
  }

  addPeer(type, onMessage) {
    return this.enter(new FakePeer(this, type, onMessage))
  }

  deliver(from, { channel, data, meta, to, seq, progress }) {
    const ids = to === undefined || to === null ? [...this.peers.keys()].filter((id) => id !== from.id) : [to].flat()
    for (const id of ids) {
      const peer = this.peers.get(id)
      if (!peer) {
        from.tell({ op: 'result', seq, peer: id, error: 'unknown_peer', message: `no peer ${id}` })
      } else {
        if (progress) for (const fraction of [0.5, 1]) from.tell({ op: 'progress', seq, peer: id, fraction })
        if (peer instanceof Session)
          peer.tell({ op: 'message', seq: ++this.lastSeq, channel, from: from.id, data, ...(meta !== undefined && { meta }) })
        else peer.onMessage({ channel, data, meta, from: from.id })
      }
    }
  }
}

/** One client. */
class Session {
  id = newId()
  type = 'session'
  lastSeq = 0
  received = [] // every message of the client
  greeted = false

  constructor(server, ws, room) {
    Object.assign(this, { server, ws, room, codec: codecs[ws.protocol] })
    ws.on('message', (bytes, binary) => {
      if (server.silent) return
      if (binary !== (ws.protocol === 'genosrtc.v1.msgpack')) return ws.close(1003)
      const message = this.codec.decode(bytes)
      this.received.push(message)
      if (!this.greeted) this.greet(message)
      else this[`on_${message.op}`]?.(message)
    })
    ws.on('close', () => server.part(this))
  }

  tell(message) {
    this.ws.send(this.codec.encode(message))
  }

  greet(hello) {
    const { password } = this.server.rooms.get(this.room)
    if (hello.op !== 'hello' || hello.password !== password) {
      this.tell({ op: 'error', code: 'password', message: 'the password is wrong or missing' })
      return this.ws.close(1008, 'password')
    }
    this.greeted = true
    const peers = [...this.server.peers.values()].map(({ id, type }) => ({ peer: id, ...(type && { type }) }))
    this.tell({
      op: 'welcome',
      peer: this.id,
      identity: 'session',
      room: this.room,
      resumed: false,
      ack: 0,
      peers,
      limits: this.server.limits,
    })
    this.server.enter(this)
  }

  on_send(message) {
    if (message.channel === 'refused') {
      this.tell({ op: 'error', code: 'channel_name', message: 'channel: refused', seq: message.seq })
    } else if (message.seq > this.lastSeq) {
      this.lastSeq = message.seq
      this.server.deliver(this, message)
    }
    if (!this.server.holdAcks) this.tell({ op: 'ack', seq: message.seq })
  }

  on_ping({ id, peer }) {
    const error = peer === undefined || this.server.peers.has(peer) ? undefined : 'unknown_peer'
    this.tell({ op: 'pong', id, ...(peer && { peer }), ...(error && { error }) })
  }

  on_leave() {
    this.ws.close(1000, 'left')
  }
}
