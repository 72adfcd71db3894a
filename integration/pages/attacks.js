// What a page may do to a peer that it is linked to, or to one that it pretends to want a link with.

import { encode, frame } from '/browser/frame.js'
import { Envelope, Relay, randomId, selfTopic } from '/browser/signaling.js'

const LAST = 0x01
const META = 0x02
const JSON_TEXT = 0x08
const ZLIB = 0x10

export const attacks = db => {
  const channelTo = peer => db().room.link(peer).channel
  const sendAll = async (peer, frames) => {
    const channel = channelTo(peer)
    for (const bytes of frames) {
      while (channel.readyState === 'open' && channel.bufferedAmount > 65_535) await new Promise(next => setTimeout(next, 5))
      channel.send(bytes) // throws if the channel has closed
    }
  }

  return {
    textFrames: peer => sendAll(peer, ['', 'hello', '@_ping', 'x'.repeat(60_000)]),

    /** Truncated and random frames, and frames of the largest size that the channel takes. */
    junkFrames(peer) {
      const junk = []
      for (let size = 0; size < 200; size++) junk.push(noise(size))
      junk.push(noise(16_384), noise(65_536))
      return sendAll(peer, junk)
    },

    /** Well-formed frames whose content is not. */
    brokenContent: peer =>
      sendAll(peer, [
        frame('chat', 0, LAST | JSON_TEXT, 255, utf8('{"cut')),
        frame('chat', 1, LAST | ZLIB, 255, noise(500)),
        frame('chat', 2, META, 128, utf8('no json')),
        frame('chat', 2, LAST, 255, utf8('after bad meta')),
        frame('chat', 3, LAST, 255, new Uint8Array([0xff, 0xfe, 0x80])),
        frame('', 4, LAST, 255, utf8('no channel')),
        frame('@_unknown', 5, LAST, 255, utf8('reserved')),
        frame('@_signal', 6, LAST | JSON_TEXT, 255, utf8('{"type":"offer","sdp":"v=0"}')),
        frame('@_signal', 7, LAST | JSON_TEXT, 255, utf8('[1,2,3]')),
        frame('c0', 8, LAST, 255, utf8('{"t":"msg","ttl":1e9}')),
        frame('syncGraph', 9, LAST | JSON_TEXT, 255, utf8('[{"type":"wat"},null,7]')),
      ]),

    /** Messages that never end, on every nonce of many channels, and one of far too many chunks. */
    async endless(peer) {
      const chunk = noise(1000)
      for (let i = 0; i < 8; i++) {
        const frames = Array.from({ length: 256 }, (_, nonce) => frame(`part ${i}`, nonce, 0, 1, chunk))
        await sendAll(peer, frames)
      }
      await sendAll(peer, Array.from({ length: 300 }, () => frame('chat', 200, 0, 1, chunk)))
    },

    /** A message that is small and inflates to `size` zeros. */
    async bomb(peer, size) {
      const zeros = new Uint8Array(1 << 20)
      let left = size
      const source = new ReadableStream({
        pull(controller) {
          if (left <= 0) return controller.close()
          controller.enqueue(zeros)
          left -= zeros.length
        },
      })
      const packed = await new Response(source.pipeThrough(new CompressionStream('deflate'))).arrayBuffer()
      const frames = await encode('chat', 99, packed)
      for (const bytes of frames) bytes[13] = (bytes[13] & LAST) | ZLIB
      await sendAll(peer, frames)
      return packed.byteLength
    },

    /** Offers from `count` peers that do not exist, with good SDP that leads nowhere. */
    async halfOpen(peer, database, relayUrl, password, count) {
      const pc = new RTCPeerConnection()
      pc.createDataChannel('data')
      await pc.setLocalDescription()
      const { sdp } = pc.localDescription
      pc.close()
      const room = `app-sync-${database}`
      const envelope = new Envelope(room, password)
      const relay = new Relay(relayUrl)
      await new Promise(resolve => relay.subscribe(selfTopic(room, peer), () => {}, resolve))
      for (let i = 0; i < count; i++) {
        const offer = { type: 'offer', sdp: await envelope.seal(sdp.replace(/ice-ufrag:./g, `ice-ufrag:${i % 10}`)) }
        relay.publish(selfTopic(room, peer), { peerId: randomId(20), offer })
        await new Promise(resolve => setTimeout(resolve))
      }
    },
  }
}

const utf8 = text => new TextEncoder().encode(text)
const noise = size => crypto.getRandomValues(new Uint8Array(size))
