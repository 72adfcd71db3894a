// A client of the session protocol, written from docs/gateway.md and nothing else.

import * as msgpack from '@msgpack/msgpack'
import WebSocket from 'ws'
import { fingerprint, make } from '../pages/value.js'
import { until, within } from './until.js'

/** codecs are the two encodings of the session protocol. */
export const codecs = {
  json: {
    protocol: 'genosrtc.v1.json',
    binary: false,
    encode: message => JSON.stringify(isMap(message) && 'data' in message ? { ...message, data: escape(message.data) } : message),
    decode(text) {
      const message = JSON.parse(text)
      return 'data' in message ? { ...message, data: unescape(message.data) } : message
    },
  },
  msgpack: {
    protocol: 'genosrtc.v1.msgpack',
    binary: true,
    encode: message => msgpack.encode(message, { ignoreUndefined: true }),
    decode: bytes => msgpack.decode(bytes),
  },
}

/** Client is one session. It answers the same calls as Page does. */
export class Client {
  id = null
  welcome = null
  mesh = null // what it was told last of its place in the cells
  ended = null // {code, reason} once the WebSocket is closed
  errors = []
  results = []
  nodes = [] // what its watches of the graph told
  watching = new Set() // the ids of its watches that have all that there was
  #socket
  #codec
  #seq = 0
  #acked = 0
  #rosters = new Map() // id → {roster, resolve} of those asked for
  #pings = new Map()
  #log = { events: [], messages: [], progress: [] }
  #channelOf = new Map() // seq → channel, of sends with progress

  constructor(label, socket, codec) {
    this.label = label
    this.#socket = socket
    this.#codec = codec
    socket.on('message', (data, binary) => {
      if (binary !== codec.binary) throw new Error(`${label}: message of the wrong WebSocket type`)
      this.#receive(codec.decode(data))
    })
    socket.on('close', (code, reason) => (this.ended = { code, reason: reason.toString() }))
  }

  /** dial opens the WebSocket of a room and says nothing yet. */
  static async dial(url, codecName, label = codecName) {
    const codec = codecs[codecName]
    const socket = new WebSocket(url, codec.protocol)
    const client = new Client(label, socket, codec)
    await within(`${label} connects to ${url}`, new Promise((resolve, reject) => {
      socket.once('open', resolve).once('error', reject)
    }))
    if (socket.protocol !== codec.protocol) throw new Error(`${label}: subprotocol ${socket.protocol}`)
    return client
  }

  /** join dials, says hello and waits for the welcome. */
  static async join(url, codecName, { label, password } = {}) {
    const client = await Client.dial(url, codecName, label)
    client.say({ op: 'hello', password })
    await until(`${client.label} is welcome (it got ${JSON.stringify(client.ended ?? client.errors)})`, () => client.id)
    return client
  }

  /** say sends one message of the protocol as it is. */
  say(message) {
    this.#socket.send(this.#codec.encode(message))
  }

  /** raw sends a WebSocket message that need not be one of the protocol. */
  raw(data, binary) {
    this.#socket.send(data, { binary })
  }

  /** send resolves when the server has acknowledged. */
  async send(channel, spec, { to, meta, progress } = {}) {
    const seq = ++this.#seq
    if (progress) this.#channelOf.set(seq, channel)
    this.say({ op: 'send', seq, channel, data: make(spec), to, meta, progress })
    await until(`${this.label}: ack of ${seq}`, () => this.#acked >= seq)
    const error = this.errors.find(error => error.seq === seq)
    if (error) throw new Error(`${this.label}: ${error.code}: ${error.message}`)
  }

  messages = () => this.#log.messages
  events = () => this.#log.events
  progress = () => this.#log.progress
  peers = () => {
    const present = new Set()
    for (const { event, peer } of this.#log.events) {
      if (event === 'join') present.add(peer)
      if (event === 'leave') present.delete(peer)
    }
    return [...present]
  }

  meshSend = spec => this.send('@_mesh', spec)
  meshPing = peer => this.ping(peer)
  meshMessages = () => this.#log.messages.filter(({ channel }) => channel === '@_mesh')

  /** meshState is that of a page; of a session that was not told of cells, one without a roster. */
  async meshState() {
    return { ...this.mesh, roster: (await this.#roster()).map(({ peer }) => peer) }
  }
  async meshPeers() {
    return Object.fromEntries((await this.#roster()).map(({ peer, cellId: cell, isBridge, bridges }) => [peer, { cell, isBridge, bridges }]))
  }

  /** ping resolves with the round trip in milliseconds; without a peer, that to the server. */
  async ping(peer) {
    const start = performance.now()
    const id = this.#pings.size + 1
    const answered = new Promise((resolve, reject) => this.#pings.set(id, { resolve, reject }))
    this.say({ op: 'ping', id, peer })
    await within(`${this.label} pings ${peer ?? 'the server'}`, answered, 12_000)
    return performance.now() - start
  }

  #roster() {
    const id = this.#rosters.size + 1
    const answered = new Promise(resolve => this.#rosters.set(id, { roster: [], resolve }))
    this.say({ op: 'mesh', id })
    return within(`${this.label} asks who is in the cells`, answered)
  }

  async leave() {
    this.say({ op: 'leave' })
    await until(`${this.label} is closed`, () => this.ended)
  }

  /** drop ends the WebSocket without a word. */
  drop() {
    this.#socket.terminate()
  }

  #receive(message) {
    const { op, seq, channel, peer, type = null, meta = null } = message
    const { events, messages, progress } = this.#log
    switch (op) {
      case 'welcome':
        this.welcome = message
        this.id = peer
        for (const { peer, type = null } of message.peers) events.push({ event: 'join', peer, type })
        break
      case 'message':
        messages.push({ channel, from: message.from, data: fingerprint(message.data), meta })
        break
      case 'ack':
        this.#acked = Math.max(this.#acked, seq)
        break
      case 'result':
        this.results.push(message)
        break
      case 'mesh': {
        if (message.id === undefined) {
          this.mesh = message
          break
        }
        const asked = this.#rosters.get(message.id)
        asked.roster.push(...message.roster)
        if (!message.more) asked.resolve(asked.roster)
        break
      }
      case 'node':
        this.nodes.push({ ...message, at: Date.now() })
        break
      case 'watch':
        this.watching.add(message.id)
        break
      case 'progress': {
        const mine = seq !== undefined
        const where = mine ? this.#channelOf.get(seq) : channel
        progress.push({ way: mine ? 'out' : 'in', channel: where, peer, fraction: message.fraction, meta })
        break
      }
      case 'ping':
        this.say({ op: 'pong', id: message.id })
        break
      case 'pong': {
        const { resolve, reject } = this.#pings.get(message.id)
        if (message.error) reject(new Error(`${this.label}: ping: ${message.error}`))
        else resolve()
        break
      }
      case 'peer':
        events.push({ event: message.event, peer, type })
        break
      case 'error':
        this.errors.push(message)
        break
      default:
        throw new Error(`${this.label}: unknown op ${op}`)
    }
  }
}

// In JSON, bytes are base64 in {"$bin": …}, and a map that could be taken for that is wrapped.
const isMap = data => data !== null && typeof data === 'object' && !Array.isArray(data)

function escape(data) {
  if (data instanceof Uint8Array) return { $bin: Buffer.from(data).toString('base64') }
  return isMap(data) && ('$bin' in data || '$map' in data) ? { $map: data } : data
}

function unescape(data) {
  const keys = isMap(data) ? Object.keys(data) : []
  if (keys.length !== 1) return data
  if (keys[0] === '$bin') return new Uint8Array(Buffer.from(data.$bin, 'base64'))
  return keys[0] === '$map' ? data.$map : data
}
