// Stands in for a browser's WebRTC in Node: a data channel to a server of the tests in the same process.
// Pieces are made and joined as docs/gateway.md has it ('WebRTC'), with nothing of the client's.

import { EventEmitter } from 'node:events'
import { encode } from '@msgpack/msgpack'

const most = 65_536

/** The server's end, which looks like a WebSocket of ws. */
export class FarEnd extends EventEmitter {
  protocol = 'genosrtc.v1.msgpack'
  sizes = [] // of the client's messages on the channel
  joined = undefined

  constructor(server) {
    super()
    this.server = server
  }

  send(bytes) {
    if (bytes.length <= most) return this.tell(bytes)
    for (let at = 0; at < bytes.length; at += most - 8) this.tell(encode(bytes.subarray(at, at + most - 8)))
    this.tell(encode(null))
  }

  tell(bytes) {
    const { channel } = this
    setImmediate(() => this.server.udp && channel?.hear(bytes))
  }

  hear(bytes) {
    if (!this.server.udp) return
    this.sizes.push(bytes.length)
    const header = { 0xc4: 2, 0xc5: 3, 0xc6: 5 }[bytes[0]]
    if (header) this.joined = Buffer.concat([this.joined ?? Buffer.alloc(0), bytes.subarray(header)])
    else if (bytes[0] !== 0xc0) return this.emit('message', bytes, true)
    else {
      const whole = this.joined
      this.joined = undefined
      this.emit('message', whole, true)
    }
  }

  close(code, reason = '') {
    this.send(encode({ op: 'end', code, reason }))
    this.terminate()
  }

  terminate() {
    const { channel } = this
    this.channel = undefined
    if (channel) setImmediate(() => this.server.udp && channel.onclose?.())
    this.emit('close', 1006)
  }
}

/** A browser's end, of connections to `server`. */
export const peerConnection = (server) =>
  class PeerConnection {
    static all = []
    connectionState = 'new'
    localDescription = null
    sctp = { maxMessageSize: 262_144 }

    constructor() {
      PeerConnection.all.push(this)
    }

    createDataChannel(label) {
      this.channel = new Channel(label)
      return this.channel
    }

    async setLocalDescription() {
      this.localDescription = { type: 'offer', sdp: `offer of ${this.channel.label}` }
    }

    async setRemoteDescription({ sdp }) {
      if (!server.udp) return
      const wire = server.wires.get(sdp)
      wire.channel = this.channel
      this.channel.wire = wire
      setImmediate(() => {
        if (this.channel.readyState !== 'connecting') return
        this.channel.readyState = 'open'
        this.channel.onopen()
      })
    }

    become(state) {
      this.connectionState = state
      this.onconnectionstatechange?.()
    }

    close() {
      const { wire } = this.channel
      this.channel.readyState = 'closed'
      if (server.udp) setImmediate(() => wire?.terminate())
    }
  }

class Channel {
  readyState = 'connecting'
  bufferedAmount = 0

  constructor(label) {
    this.label = label
  }

  send(bytes) {
    if (bytes.length > 262_144) throw new TypeError('larger than maxMessageSize')
    const copy = Buffer.from(bytes)
    this.bufferedAmount += copy.length
    setImmediate(() => {
      if (!this.wire.server.udp) return
      this.bufferedAmount -= copy.length
      this.wire.hear(copy)
      if (this.bufferedAmount <= this.bufferedAmountLowThreshold) this.onbufferedamountlow()
    })
  }

  hear(bytes) {
    if (this.readyState === 'open') this.onmessage({ data: new Uint8Array(bytes).buffer })
  }
}
