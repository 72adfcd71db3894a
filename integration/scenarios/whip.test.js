// Chromium speaks WHIP by fetch alone: data, trickled addresses hidden by mDNS, a restart of ICE, a camera.

import { decode, encode } from '@msgpack/msgpack'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stage } from '../lib/stage.js'
import { until } from '../lib/until.js'

const here = stage('whip', { mdns: true, camera: true })

/** open is a page of the server's own origin, with a WHIP client in it. */
async function open() {
  const tab = await here.browser.newPage()
  await tab.goto(`${here.server.url}/genosrtc/rooms/demo`)
  await tab.evaluate(() => {
    const whip = (window.whip = { heard: [], statuses: [] })
    const line = (sdp, name) => sdp.match(new RegExp(`a=${name}:(.*)\r\n`))[1]
    whip.fragment = (...candidates) => {
      const { sdp } = whip.pc.localDescription
      return [`a=ice-ufrag:${line(sdp, 'ice-ufrag')}`, `a=ice-pwd:${line(sdp, 'ice-pwd')}`, ...candidates.map((c) => `a=${c}`), ''].join('\r\n')
    }
    whip.patch = async (match, ...candidates) => {
      const answer = await fetch(whip.url, {
        method: 'PATCH', body: whip.fragment(...candidates),
        headers: { 'Content-Type': 'application/trickle-ice-sdpfrag', 'If-Match': match },
      })
      whip.statuses.push(answer.status)
      return answer
    }
    whip.post = async ({ data, camera }) => {
      const pc = (whip.pc = new RTCPeerConnection())
      if (data) {
        whip.dc = pc.createDataChannel('genosrtc')
        whip.dc.binaryType = 'arraybuffer'
        whip.dc.onmessage = ({ data }) => whip.heard.push([...new Uint8Array(data)])
        whip.opened = new Promise((resolve) => (whip.dc.onopen = resolve))
        whip.closed = new Promise((resolve) => (whip.dc.onclose = resolve))
      }
      if (camera) {
        const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true })
        for (const track of stream.getTracks()) pc.addTransceiver(track, { direction: 'sendonly', streams: [stream] })
      }
      const waiting = []
      pc.onicecandidate = ({ candidate }) => candidate?.candidate && waiting.push(candidate.candidate)
      await pc.setLocalDescription()
      const answer = await fetch('/genosrtc/rooms/demo/whip', {
        method: 'POST', body: pc.localDescription.sdp, headers: { 'Content-Type': 'application/sdp' },
      })
      whip.url = answer.headers.get('Location')
      whip.tag = answer.headers.get('ETag')
      await pc.setRemoteDescription({ type: 'answer', sdp: await answer.text() })
      for (const candidate of waiting) await whip.patch(whip.tag, candidate)
      pc.onicecandidate = ({ candidate }) => candidate?.candidate && whip.patch(whip.tag, candidate.candidate)
    }
    whip.say = (bytes) => whip.dc.send(new Uint8Array(bytes))
    whip.restart = async () => {
      const { pc } = whip
      pc.onicecandidate = null
      pc.restartIce()
      await pc.setLocalDescription()
      await new Promise((resolve) => (pc.iceGatheringState === 'complete' ? resolve() : (pc.onicegatheringstatechange = () => pc.iceGatheringState === 'complete' && resolve())))
      const candidates = [...pc.localDescription.sdp.matchAll(/a=(candidate:.*)\r\n/g)].map(([, c]) => c)
      const answer = await whip.patch('*', ...candidates)
      whip.tag = answer.headers.get('ETag')
      const fragment = (await answer.text()).split('\r\n').filter((l) => /^a=(ice-|cand|end-of)/.test(l))
      const old = pc.remoteDescription.sdp.split('\r\n').filter((l) => l && !/^a=(ice-|cand|end-of)/.test(l))
      await pc.setRemoteDescription({ type: 'answer', sdp: [...old, ...fragment, ''].join('\r\n') })
    }
  })
  return tab
}

const say = (tab, message) => tab.evaluate((bytes) => whip.say(bytes), [...encode(message)])
const hear = (tab, what, wanted) =>
  until(what, async () => (await tab.evaluate(() => whip.heard)).map((m) => decode(new Uint8Array(m))).find(wanted))

test('a session by fetch and RTCPeerConnection', async () => {
  const tab = await open()
  await tab.evaluate(() => whip.post({ data: true }))
  await tab.evaluate(() => whip.opened)
  await say(tab, { op: 'hello' })
  const welcome = await hear(tab, 'welcome', (m) => m.op === 'welcome')
  assert.equal(welcome.limits.message, 65536)
  assert.equal(await tab.evaluate(() => whip.tag), '"1"')
  await say(tab, { op: 'send', seq: 1, channel: 'chat', data: { text: 'hi' } })
  await hear(tab, 'the acknowledgement', (m) => m.op === 'ack' && m.seq === 1)

  await tab.evaluate(() => whip.restart())
  assert.equal(await tab.evaluate(() => whip.tag), '"2"')
  await say(tab, { op: 'ping', id: 7 })
  await hear(tab, 'the pong after the restart', (m) => m.op === 'pong' && m.id === 7)
  const statuses = await tab.evaluate(() => whip.statuses)
  assert.ok(statuses.every((s) => s === 204 || s === 200), String(statuses))

  await say(tab, { op: 'leave' })
  await tab.evaluate(() => whip.closed)
  const end = await hear(tab, 'the end', (m) => m.op === 'end')
  assert.deepEqual(end, { op: 'end', code: 1000, reason: 'left' })
  await tab.close()
})

test('a camera is in the room until DELETE', async () => {
  const peers = async () => (await (await fetch(`${here.server.url}/genosrtc/rooms/demo`)).json()).peers
  const before = (await peers()).length
  const tab = await open()
  await tab.evaluate(() => whip.post({ camera: true }))
  await until('the camera has a seat', async () => (await peers()).length === before + 1)
  await until('packets are on their way', () => tab.evaluate(async () => {
    const sent = [...(await whip.pc.getStats()).values()].filter((s) => s.type === 'outbound-rtp' && s.packetsSent > 10)
    return sent.length === 2
  }))
  assert.equal(await tab.evaluate(async () => (await fetch(whip.url, { method: 'DELETE' })).status), 204)
  await until('it is gone', async () => (await peers()).length === before)
  await tab.close()
})
