// A session in traffic: lean, since there are many.

import { once } from 'node:events'
import WebSocket from 'ws'
import { codecs } from '../lib/client.js'
import { until } from '../lib/until.js'
import { Traffic } from '../pages/traffic.js'

/** Session is one WebSocket. Whatever the server complains of is a fault of its traffic. */
export class Session {
  id = null
  identity = null
  ended = null // {code, reason, at} once the WebSocket is closed
  left = [] // peers that were and are no longer connected
  #connected = new Set()
  #socket
  #codec
  #traffic
  #seq = 0
  #acked = 0

  constructor(name, socket, codec) {
    this.name = name
    this.#socket = socket
    this.#codec = codec
    this.#traffic = new Traffic(name, (channel, data, to) =>
      this.#say({ op: 'send', seq: ++this.#seq, channel, data, to: to ?? undefined }))
    socket.on('message', data => this.#receive(codec.decode(data)))
    socket.on('close', (code, reason) => (this.ended = { code, reason: reason.toString(), at: Date.now() }))
  }

  /** join resolves when the session is welcome. */
  static async join(url, name, codecName) {
    const codec = codecs[codecName]
    const socket = new WebSocket(url, codec.protocol)
    await once(socket, 'open')
    const session = new Session(name, socket, codec)
    session.#say({ op: 'hello' })
    await until(`${name} is welcome`, () => session.id)
    return session
  }

  /** peer is the id by which everybody can name it, if there is one. */
  get peer() {
    return this.identity === 'session' ? this.id : null
  }

  peers = async () => [...this.#connected]
  leaves = async () => this.left
  start = async options => this.#traffic.start(options)
  stop = async () => this.#traffic.stop()
  report = async () => this.#traffic.report()

  /** acknowledged tells whether the server has taken all that was sent. */
  get acknowledged() {
    return this.#acked === this.#seq
  }

  /** deafen stops reading: the server hears nothing more from this client, not even that it closes. */
  deafen() {
    this.#socket.pause()
  }

  drop() {
    this.#socket.terminate()
  }

  #say(message) {
    this.#socket.send(this.#codec.encode(message))
  }

  #receive({ op, seq, channel, data, peer, event, ...more }) {
    if (op === 'message') return this.#traffic.hear(channel, data)
    if (op === 'ack') return void (this.#acked = seq)
    if (op === 'welcome') {
      this.id = peer
      this.identity = more.identity
      for (const { peer } of more.peers) this.#connected.add(peer)
    } else if (op === 'peer') {
      if (event === 'join') this.#connected.add(peer)
      if (event !== 'leave') return
      this.#connected.delete(peer)
      this.left.push(peer)
    } else {
      this.#traffic.fault(JSON.stringify({ op, seq, channel, peer, ...more }))
    }
  }
}
