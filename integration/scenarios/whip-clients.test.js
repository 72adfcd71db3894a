// WHIP clients of others publish a camera, as they are, in Chromium: whip-whep, which keeps to RFC 9725, and
// Eyevinn's, which does not quite.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { script } from '../lib/commonjs.js'
import { stage } from '../lib/stage.js'
import { until } from '../lib/until.js'

const here = stage('whip-clients', { mdns: true, camera: true })

const room = () => `${here.server.url}/genosrtc/rooms/demo`
const peers = async () => (await (await fetch(room())).json()).peers.length

/** open is a page with the server's origin; requests are all that it makes of WHIP. */
async function open() {
  const tab = await here.browser.newPage()
  await tab.goto(room())
  const requests = []
  tab.on('response', async (response) => {
    const request = response.request()
    if (response.url().includes('/whip')) requests.push({ method: request.method(), status: response.status(), headers: await request.allHeaders() })
  })
  tab.on('console', (message) => message.type() === 'error' && console.log(`# ${message.text()}`))
  return { tab, requests }
}

/** flows resolves when the camera is in the room and its packets leave the page. */
async function flows(tab, before) {
  await until('the camera has a seat', async () => (await peers()) === before + 1)
  await until('its packets leave', () => tab.evaluate(async () =>
    [...(await pc.getStats()).values()].filter((s) => s.type === 'outbound-rtp' && s.packetsSent > 10).length === 2))
}

test('whip-whep 1.2.0: publish, trickle, restart, stop', async () => {
  const { tab, requests } = await open()
  const before = await peers()
  const source = await readFile(new URL('../node_modules/whip-whep/whip.js', import.meta.url), 'utf8')
  await tab.evaluate(async ([source, url]) => {
    const { WHIPClient } = await import(URL.createObjectURL(new Blob([source], { type: 'text/javascript' })))
    window.pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' })
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true })
    for (const track of stream.getTracks()) pc.addTransceiver(track, { direction: 'sendonly', streams: [stream] })
    window.client = new WHIPClient()
    await client.publish(pc, url)
  }, [source, `${room()}/whip`])
  await flows(tab, before)
  await until('candidates were sent', () => requests.some((r) => r.method === 'PATCH' && r.status === 204))
  await tab.evaluate(() => client.restart())
  await until('the restart was answered', () => requests.some((r) => r.method === 'PATCH' && r.status === 200))
  await until('it is connected by the new one', () => tab.evaluate(() => pc.iceConnectionState === 'connected'))
  await flows(tab, before)
  await tab.evaluate(() => client.stop())
  await until('it is gone', async () => (await peers()) === before)
  assert.deepEqual(requests.filter((r) => r.status >= 300), [])
  await tab.close()
})

test('@eyevinn/whip-web-client 1.1.7: ingest, trickle without If-Match, destroy', async () => {
  const { tab, requests } = await open()
  const before = await peers()
  await tab.evaluate(async ([source, url]) => {
    const { WHIPClient } = (0, eval)(source)
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true })
    window.client = new WHIPClient({ endpoint: url, opts: { iceServers: [] } })
    await client.ingest(stream)
    window.pc = client.peer
  }, [await script('@eyevinn/whip-web-client'), `${room()}/whip`])
  await flows(tab, before)
  await until('candidates were sent', () => requests.some((r) => r.method === 'PATCH'))
  await tab.evaluate(() => client.destroy())
  await until('it is gone', async () => (await peers()) === before)
  assert.deepEqual(requests.filter((r) => r.status >= 300), [])
  assert.ok(requests.some((r) => r.method === 'PATCH' && !r.headers['if-match'] && r.headers.etag === '"1"'), 'it has learned If-Match')
  await tab.close()
})
