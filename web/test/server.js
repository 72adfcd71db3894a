// A small server of the session protocol (docs/gateway.md) that lives in the test's process. It
// is written from that page and shares nothing with the client but the MessagePack library.

import { randomInt } from 'node:crypto'
import { createServer, STATUS_CODES } from 'node:http'
import { decode, encode } from '@msgpack/msgpack'
import { WebSocketServer } from 'ws'
import { Graph, GraphSession } from './graph.js'
import { FarEnd } from './webrtc.js'
import { Transfers } from './transfers.js'

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
export const newId = (first = '0') => first + Array.from({ length: 19 }, () => alphabet[randomInt(62)]).join('')

const codecs = {
  'genosrtc.v1.msgpack': { encode: (message) => encode(message), decode: (bytes) => decode(bytes) },
  'genosrtc.v1.json': {
    encode: (message) => JSON.stringify('data' in message ? { ...message, data: wrap(message.data) } : message),
    decode(bytes) {
      const message = JSON.parse(bytes.toString())
      if ('data' in message) message.data = unwrap(message.data)
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
  offers = [] // the requests for WebRTC
  deletes = [] // what became of an offer
  wires = new Map() // those that were answered, by their answers
  udp = true // packets pass
  refusal = null // { status, headers, detail, code }: answers every request
  silent = false // no answer to anything
  ending = null // [code, reason] of every hello over WebRTC
  holdAcks = false
  limits = { message: 2_097_152, pending: 8_388_608, resume: 120, window: 524_288 }
  lastSeq = 0
  history = [] // messages to all
  mesh = undefined // what browsers take sessions for
  roster = [] // of the room's cells
  place = undefined // that sessions have in them
  lost = new Map() // token of a session that is no more -> the reason
  transfers = new Transfers(this)
  graph = new Graph()
  holdGraph = false // no answers to what is asked of the graph
  graphError = null // the code of all answers

  static async start(port = 0) {
    const server = new TestServer()
    await server.listen(port)
    return server
  }

  async listen(port) {
    this.sockets = new WebSocketServer({ noServer: true, handleProtocols: (names) => Object.keys(codecs).find((name) => names.has(name)) })
    this.http = createServer((request, response) => {
      const offered = request.method === 'POST'
      if (offered) this.offers.push(request)
      if (request.method === 'DELETE') this.deletes.push(request)
      const { status, headers, detail, code } = this.refuses(request) ?? { status: offered ? 201 : 426, headers: {} }
      if (status === 201) return response.writeHead(201, { 'Content-Type': 'application/sdp', Location: `${request.url}/1` }).end(this.answer(request))
      response.writeHead(status, { 'Content-Type': 'application/problem+json', ...headers }).end(JSON.stringify({ status, detail, code }))
    })
    this.http.on('upgrade', (request, socket, head) => {
      this.dials.push(performance.now())
      const refused = this.refuses(request)
      if (refused) return socket.end(`HTTP/1.1 ${refused.status} ${STATUS_CODES[refused.status]}\r\nContent-Length: 0\r\n\r\n`)
      this.sockets.handleUpgrade(request, socket, head, (ws) => greet(this, ws, this.roomOf(request)))
    })
    await new Promise((resolve) => this.http.listen(port, '127.0.0.1', resolve))
    this.port = this.http.address().port
    this.url = `http://127.0.0.1:${this.port}/genosrtc`
  }

  async close() {
    this.drop()
    await new Promise((resolve) => this.http.close(resolve))
  }

  answer(request) {
    const wire = new FarEnd(this)
    const sdp = `answer ${this.port} ${this.wires.size}`
    this.wires.set(sdp, wire)
    greet(this, wire, this.roomOf(request))
    return sdp
  }

  roomOf(request) {
    const [, name] = /^\/genosrtc\/rooms\/([^/]+)\/(?:ws|whip)$/.exec(request.url) ?? []
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
    for (const one of [...this.sockets.clients, ...this.wires.values()]) one.terminate()
  }

  /** Forgets all sessions for that reason, and loses their sockets. */
  lose(reason) {
    for (const session of this.sessions) {
      this.lost.set(session.token, reason)
      this.part(session)
    }
    this.drop()
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
    const message = { op: 'message', seq: ++this.lastSeq, channel, from: from.id, data, ...(meta !== undefined && { meta }) }
    if (to === undefined || to === null) this.history.push(message)
    const ids = to === undefined || to === null ? [...this.peers.keys()].filter((id) => id !== from.id) : [to].flat()
    for (const id of ids) {
      const peer = this.peers.get(id)
      if (!peer) {
        from.tell({ op: 'result', seq, peer: id, error: 'unknown_peer', message: `no peer ${id}` })
      } else {
        if (progress) for (const fraction of [0.5, 1]) from.tell({ op: 'progress', seq, peer: id, fraction })
        if (peer instanceof Session) peer.tell(message)
        else peer.onMessage({ channel, data, meta, from: from.id })
      }
    }
  }
}

// The first message of a WebSocket says which session it is for.
function greet(server, ws, room) {
  const codec = codecs[ws.protocol]
  const say = (message) => ws.send(codec.encode(message))
  ws.once('message', (bytes) => {
    if (server.silent) return
    if (server.ending && ws instanceof FarEnd) return ws.close(...server.ending)
    const hello = codec.decode(bytes)
    const known = server.sessions.find(({ token }) => token === hello.resume)
    const { password } = server.rooms.get(room)
    if (!known && (hello.op !== 'hello' || hello.password !== password)) {
      say({ op: 'error', code: 'password', message: 'the password is wrong or missing' })
      return ws.close(1008, 'password')
    }
    const session = known ?? new Session(server)
    session.attach(ws, codec)
    session.received.push(hello)
    const reason = hello.resume && !known ? { reason: server.lost.get(hello.resume) ?? 'unknown' } : {}
    session.tell({
      op: 'welcome',
      peer: session.id,
      ...(server.mesh && { mesh: server.mesh }),
      identity: 'session',
      room,
      resume: session.token,
      resumed: known !== undefined,
      ...reason,
      ack: session.lastSeq,
      peers: [...server.peers.values()].filter((peer) => peer !== session).map(({ id, type }) => ({ peer: id, ...(type && { type }) })),
      limits: server.limits,
    })
    if (server.place) session.tell(server.place)
    if (known) {
      session.resumed(hello.ack)
    } else {
      for (const message of hello.history ? server.history.slice(-hello.history) : []) session.tell({ ...message, history: true })
      server.enter(session)
    }
  })
}

/** One client's session. It stays when its WebSocket goes. */
class Session {
  id = newId()
  token = newId('t')
  type = 'session'
  lastSeq = 0
  received = [] // every message of the client
  unacknowledged = [] // messages that the client may ask for again
  due = [] // what else it was to be told while it was away
  ws = null

  constructor(server) {
    this.server = server
  }

  attach(ws, codec) {
    this.ws?.close(4000, 'resumed elsewhere')
    Object.assign(this, { ws, codec, graph: new GraphSession(this.server, (message) => this.ws === ws && this.write(message)) })
    ws.on('message', (bytes, binary) => {
      if (this.server.silent || this.ws !== ws) return
      if (binary !== (ws.protocol === 'genosrtc.v1.msgpack')) return ws.close(1003)
      const message = codec.decode(bytes)
      this.received.push(message)
      this[`on_${message.op}`]?.(message)
    })
    ws.on('close', (code) => {
      if (this.ws !== ws) return
      this.ws = null
      if (code === 1003) this.server.part(this)
    })
  }

  resumed(ack) {
    this.unacknowledged = this.unacknowledged.filter(({ seq }) => seq > ack)
    for (const message of [...this.unacknowledged, ...this.due.splice(0)]) this.write(message)
    this.server.transfers.resumed(this)
  }

  tell(message) {
    if (message.op === 'message') this.unacknowledged.push(message)
    else if (!this.ws && message.op !== 'peer') this.due.push(message)
    this.write(message)
  }

  write(message) {
    this.ws?.send(this.codec.encode(message))
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

  on_ack(message) {
    if (message.transfer === undefined) this.unacknowledged = this.unacknowledged.filter(({ seq }) => seq > message.seq)
    else this.server.transfers.ack(this, message)
  }

  on_begin = (message) => this.server.transfers.begin(this, message)
  on_chunk = (message) => this.server.transfers.chunk(this, message)
  on_end = (message) => this.server.transfers.end(this, message)
  on_cancel = (message) => this.server.transfers.cancel(this, message)

  on_put = (message) => this.graph.received(message)
  on_patch = this.on_put
  on_remove = this.on_put
  on_link = this.on_put
  on_get = this.on_put
  on_watch = this.on_put
  on_unwatch = this.on_put

  on_ping({ id, peer }) {
    const error = peer === undefined || this.server.peers.has(peer) ? undefined : 'unknown_peer'
    this.tell({ op: 'pong', id, ...(peer && { peer }), ...(error && { error }) })
  }

  on_mesh({ id }) {
    const pieces = this.server.roster
    for (const roster of pieces.slice(0, -1)) this.tell({ op: 'mesh', id, roster, more: true })
    this.tell({ op: 'mesh', id, roster: pieces.at(-1) ?? [] })
  }

  on_leave() {
    this.server.part(this)
    this.ws.close(1000, 'left')
  }
}
