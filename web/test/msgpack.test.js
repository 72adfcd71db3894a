// Our part of MessagePack beside the whole of it: @msgpack/msgpack is the reference.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as reference from '@msgpack/msgpack'
import { buildSync } from 'esbuild'

// It is internal to the client, so it is built for the test alone.
const { outputFiles } = buildSync({ entryPoints: [new URL('../src/msgpack.ts', import.meta.url).pathname], format: 'esm', write: false })
const { decode, encode } = await import(`data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`)

const buffer = (bytes) => bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)
const random = (most) => Math.floor(Math.random() * most)
const pick = (...of) => of[random(of.length)]()

/** Any value that messages have. Sizes are around those at which the encoding changes. */
function value(depth = 3) {
  const length = () => pick(() => random(4), () => 14 + random(4), () => 30 + random(4), () => 254 + random(4))
  const count = () => (depth === 3 ? 14 + random(4) : random(4))
  const text = () => pick(() => 'a', () => 'é', () => '語', () => '😀', () => '\0').repeat(length())
  return pick(
    () => null,
    () => random(2) === 0,
    () => pick(() => random(300) - 150, () => 2 ** random(54) - random(3), () => -(2 ** random(54)) + random(3), Math.random),
    text,
    () => crypto.getRandomValues(new Uint8Array(length())),
    () => (depth ? Array.from({ length: count() }, () => value(depth - 1)) : []),
    () => (depth ? Object.fromEntries(Array.from({ length: count() }, (_, n) => [text() + n, value(depth - 1)])) : {}),
  )
}

test('what we write is read by others, what others write is read by us', () => {
  for (let n = 0; n < 3_000; n++) {
    const original = value()
    assert.deepEqual(reference.decode(encode(original)), original)
    assert.deepEqual(decode(buffer(encode(original))), original)
    const float32 = n % 2 === 0
    const theirs = reference.encode(original, { forceIntegerToFloat: n % 3 === 0, forceFloat32: float32 })
    assert.deepEqual(decode(buffer(theirs)), reference.decode(theirs))
  }
})

test('large ones', () => {
  for (const length of [65_535, 65_536]) {
    for (const original of [new Uint8Array(length).fill(7), 'é'.repeat(length), Array(length).fill(1), Object.fromEntries(Array.from({ length }, (_, n) => [`k${n}`, n]))]) {
      assert.deepEqual(decode(buffer(encode(original))), original)
      assert.deepEqual(decode(buffer(reference.encode(original))), original)
    }
  }
})

test('all widths of integers', () => {
  for (const [hex, number] of [
    ['cf001fffffffffffff', 2 ** 53 - 1], ['d3ffe0000000000001', 1 - 2 ** 53], ['ce00000001', 1], ['cd0001', 1], ['cc01', 1],
    ['d0ff', -1], ['d1ffff', -1], ['d2ffffffff', -1], ['d3ffffffffffffffff', -1], ['ff', -1], ['7f', 127],
  ]) assert.equal(decode(buffer(new Uint8Array(Buffer.from(hex, 'hex')))), number) // prettier-ignore
})

test('fields that are undefined are left out, and __proto__ is a key like any other', () => {
  assert.deepEqual(reference.decode(encode({ a: undefined, b: null, c: 1 })), { b: null, c: 1 })
  const original = JSON.parse('{"__proto__":{"admin":true},"a":1}')
  const copy = decode(buffer(encode(original)))
  assert.equal(copy.admin, undefined)
  assert.equal(JSON.stringify(copy), JSON.stringify(original))
})

test('what cannot be read throws, at every byte', () => {
  const whole = encode({ op: 'message', seq: 70_000, data: { text: 'x'.repeat(40), list: [1, -1, 0.5, null, true] }, bytes: new Uint8Array(5) })
  for (let length = 0; length < whole.length; length++) assert.throws(() => decode(buffer(whole.slice(0, length))), RangeError)
  assert.throws(() => decode(buffer(new Uint8Array([...whole, 0]))), RangeError)
  for (const type of [0xc1, 0xc7, 0xc8, 0xc9, 0xd4, 0xd8]) assert.throws(() => decode(new Uint8Array([type, 0, 0, 0, 0, 0]).buffer), TypeError)
  assert.throws(() => decode(new Uint8Array([0x81, 1, 1]).buffer), TypeError)
  for (let n = 0; n < 2_000; n++) {
    const bytes = whole.slice()
    bytes[random(bytes.length)] = random(256)
    try {
      decode(bytes.buffer)
    } catch (error) {
      assert.ok(error instanceof RangeError || error instanceof TypeError, error)
    }
  }
})
