// Chromium as users have it hides local addresses behind mDNS names, which the server cannot resolve.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { check } from '../lib/check.js'
import { channels, exchange } from '../lib/exchange.js'
import { meet } from '../lib/presence.js'
import { stage } from '../lib/stage.js'

const here = stage('mdns', { mdns: true })

test('pages that hide their addresses', async t => {
  const page = await here.page('demo', { label: 'page', channels })
  const client = await here.client('demo', 'msgpack', { label: 'client' })
  await check(t, 'the page has mDNS candidates and no other', async () => {
    const candidates = await page.tab.evaluate(gather)
    assert.ok(candidates.length > 0)
    for (const candidate of candidates) assert.match(candidate, /\.local /)
  })
  await check(t, 'page and client are connected', () => meet([page, client]))
  await exchange(t, [page, client])
})

async function gather() {
  const pc = new RTCPeerConnection()
  const gathered = new Promise(resolve => {
    pc.onicegatheringstatechange = () => pc.iceGatheringState === 'complete' && resolve()
  })
  pc.createDataChannel('')
  await pc.setLocalDescription()
  await gathered
  return pc.localDescription.sdp.match(/a=candidate:.*/g) ?? []
}
