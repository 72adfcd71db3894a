// A peer of Trystero with node-datachannel, for bench/link:
//
//	node trystero.mjs send|receive <relay URL> <bytes>
//
// The sender tells the receiver's having everything by its report, as the other
// contestants do (child.go).
import { WebSocket } from 'ws'
import { writeSync } from 'node:fs'
globalThis.WebSocket ??= WebSocket
const { RTCPeerConnection } = await import('node-datachannel/polyfill')
const { joinRoom } = await import('trystero/nostr')

const [, , role, relay, bytes] = process.argv
const report = (seconds) => {
  const { user, system } = process.cpuUsage()
  writeSync(3, JSON.stringify({ Seconds: seconds, CPU: (user + system) / 1e6 }) + '\n')
}
const room = joinRoom({
  appId: 'bench',
  rtcPolyfill: RTCPeerConnection,
  relayConfig: { urls: [relay] },
  rtcConfig: { iceServers: [], bindAddress: '127.0.0.1' }
}, 'room')
const hello = room.makeAction('hello')
const bulk = room.makeAction('bulk')
const done = room.makeAction('done')
room.onPeerJoin = (id) => hello.send('hello', { target: id })

if (role === 'send') {
  let start
  hello.onMessage = (_, { peerId }) => {
    const data = new Uint8Array(+bytes)
    for (let i = 0; i < data.length; i += 4096) data[i] = i
    start = performance.now()
    bulk.send(data, { target: peerId })
  }
  done.onMessage = () => {
    report((performance.now() - start) / 1000)
  }
} else {
  bulk.onMessage = (data, { peerId }) => {
    if ((data.byteLength ?? data.length) !== +bytes) throw new Error('not all arrived')
    done.send('done', { target: peerId })
    report(0)
  }
}
