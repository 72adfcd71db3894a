// A link: one RTCPeerConnection and its data channel, alive as long as the other side answers.

import { Assembler, encode, signal } from './frame.js'

const GATHER = 5000
const TICK = 5000
const SILENCE = 10_000
const NO_ANSWER = 25_000
const HIGH_WATER = 65_535

/**
 * Link calls onOpen, onFrame({name, progress, meta, data?}), onPong, onStream(stream, meta?) for each track,
 * and onClose (once) of its owner.
 * `ended` is true from the moment on that it closes.
 */
export class Link {
  ended = false
  channel = null
  pc
  #owner
  #assembler = new Assembler()
  #sending = Promise.resolve()
  #heard = 0
  #asked = 0
  #watchdog
  #signals = 0
  #negotiating = Promise.resolve()
  #dialed = false // the link's offer is ours
  #meta // of the next stream

  constructor(iceServers, owner) {
    this.#owner = owner
    this.pc = new RTCPeerConnection({ iceServers })
    this.pc.ontrack = ({ streams: [stream] }) => {
      owner.onStream(stream, this.#meta)
      this.#meta = undefined
    }
    this.pc.onconnectionstatechange = () => {
      if (['disconnected', 'failed', 'closed'].includes(this.pc.connectionState)) this.close()
    }
  }

  /** offer makes the data channel and returns the SDP to send. */
  async offer() {
    this.#dialed = true
    this.#adopt(this.pc.createDataChannel('data'))
    await this.pc.setLocalDescription()
    return this.#gathered()
  }

  /** answer takes the other side's offer and returns the SDP to send back. */
  async answer(sdp) {
    this.pc.ondatachannel = event => this.#adopt(event.channel)
    await this.pc.setRemoteDescription({ type: 'offer', sdp })
    await this.pc.setLocalDescription()
    return this.#gathered()
  }

  /** accept takes the answer to our offer; a second one is ignored. */
  async accept(sdp) {
    if (this.pc.signalingState === 'have-local-offer') await this.pc.setRemoteDescription({ type: 'answer', sdp })
  }

  /** send passes frames in order, slowly enough for the channel's buffer; sent is called after each. */
  send(frames, sent) {
    const all = this.#sending.then(async () => {
      for (const [i, frame] of frames.entries()) {
        await this.#drained()
        if (this.ended) throw new Error('link ended')
        this.channel.send(frame)
        sent?.(i)
      }
    })
    this.#sending = all.catch(() => {})
    return all
  }

  /** now sends the empty frame of an internal channel, past all that waits. */
  now(name) {
    if (this.channel?.readyState === 'open') this.channel.send(signal(name))
  }

  close() {
    if (this.ended) return
    this.ended = true
    clearInterval(this.#watchdog)
    this.pc.close()
    this.#owner.onClose()
  }

  #adopt(channel) {
    this.channel = channel
    channel.binaryType = 'arraybuffer'
    channel.bufferedAmountLowThreshold = HIGH_WATER
    channel.onclose = () => this.close()
    channel.onmessage = ({ data }) => this.#receive(data)
    channel.onopen = () => this.#opened()
    // An answerer's channel may be open already, with or without an event to come.
    if (channel.readyState === 'open') this.#opened()
  }

  #opened() {
    this.channel.onopen = null
    this.#heard = Date.now()
    this.#watchdog = setInterval(() => this.#watch(), TICK)
    this.#owner.onOpen()
  }

  #receive(data) {
    this.#heard = Date.now()
    this.#asked = 0
    const frame = this.#assembler.push(data)
    if (!frame) return
    if (frame.name === '@_ping') this.now('@_pong')
    else if (frame.name === '@_pong') this.#owner.onPong()
    else if (frame.name === '@_leave') this.close()
    else if (frame.name === '@_stream' || frame.name === '@_signal') this.#media(frame)
    else this.#owner.onFrame(frame)
  }

  // What is said of media comes in order, and is heeded so.
  #media({ name, data }) {
    if (!data) return
    this.#negotiating = this.#negotiating
      .then(data)
      .then(value => (name === '@_stream' ? void (this.#meta = value) : this.#renegotiate(value)))
      .catch(error => console.warn(`${name}: ${error.message}`))
  }

  /** A peer answers what it is offered. In a glare the offer of who made the link's stands. */
  async #renegotiate({ type, sdp }) {
    if (!sdp.includes('a=rtpmap')) return
    if (type === 'answer') return this.accept(sdp)
    if (this.pc.signalingState !== 'stable' && this.#dialed) return
    await this.pc.setRemoteDescription({ type, sdp })
    await this.pc.setLocalDescription()
    const answer = { type: 'answer', sdp: await this.#gathered() }
    await this.send(await encode('@_signal', this.#signals++ & 255, answer))
  }

  #watch() {
    const now = Date.now()
    if (this.#asked) {
      if (now - this.#asked >= NO_ANSWER) this.close()
    } else if (now - this.#heard > SILENCE) {
      this.#asked = now
      this.now('@_ping')
    }
  }

  async #drained() {
    if (this.ended || this.channel.bufferedAmount <= HIGH_WATER) return
    await new Promise(resolve => {
      const options = { once: true }
      this.channel.addEventListener('bufferedamountlow', resolve, options)
      this.channel.addEventListener('close', resolve, options)
    })
  }

  // There is no trickle: all candidates travel inside the SDP.
  async #gathered() {
    if (this.pc.iceGatheringState !== 'complete') {
      await new Promise(resolve => {
        this.pc.onicegatheringstatechange = () => this.pc.iceGatheringState === 'complete' && resolve()
        setTimeout(resolve, GATHER)
      })
    }
    return this.pc.localDescription.sdp.replace('a=ice-options:trickle\r\n', '')
  }
}
