// How the monitor page asks for pictures.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildSync } from 'esbuild'
import { until } from './helpers.js'

const { outputFiles } = buildSync({ entryPoints: [new URL('../src/monitor/feed.ts', import.meta.url).pathname], format: 'esm', write: false })
const { watch } = await import(`data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`)

function setUp(t) {
  const page = Object.assign(new EventTarget(), { hidden: false })
  Object.assign(globalThis, { document: page, window: globalThis })
  const asked = [] // what answers each
  t.mock.method(globalThis, 'fetch', () => new Promise((answer) => asked.push((status) => answer(Response.json({}, { status })))))
  const heard = []
  const listener = Object.fromEntries(['picture', 'lost', 'refused', 'unknown'].map((name) => [name, () => heard.push(name)]))
  const end = watch('demo', {}, 'omit', listener)
  t.after(() => {
    end()
    delete globalThis.document
    delete globalThis.window
  })
  const look = () => page.dispatchEvent(new Event('visibilitychange'))
  return { asked, heard, look }
}

test('one request at a time, however often the page is looked at', async (t) => {
  const { asked, heard, look } = setUp(t)
  look()
  look()
  assert.equal(asked.length, 1)
  asked[0](200)
  await until(() => asked.length > 1)
  assert.deepEqual(heard, ['picture'])
  asked[1](200)
  await until(() => heard.length > 1)
  await new Promise(setImmediate)
  look() // now, and not once more when a second is over
  assert.equal(asked.length, 3)
  asked[2](200)
  await until(() => asked.length > 3)
  assert.equal(heard.length, 3)
})

for (const [status, told] of [
  [401, 'refused'],
  [404, 'unknown'],
]) {
  test(`nothing more is asked after ${status}`, async (t) => {
    const { asked, heard, look } = setUp(t)
    asked[0](status)
    await until(() => heard.length > 0)
    await new Promise(setImmediate)
    look()
    assert.deepEqual([asked.length, heard], [1, [told]])
  })
}
