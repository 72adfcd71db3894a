// Our SHA-256 against the vectors of FIPS 180-4 and NIST's CAVP, and against Node's.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { build } from 'esbuild'

const { outputFiles } = await build({ entryPoints: [new URL('../src/sha256.ts', import.meta.url).pathname], write: false, format: 'esm' })
const { Sha256 } = await import(`data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`)

const vectors = {
  '': 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  abc: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq: '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
  abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu:
    'cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1',
}

test('known vectors', () => {
  for (const [text, digest] of Object.entries(vectors)) assert.equal(new Sha256().update(Buffer.from(text)).hex(), digest)
  const hash = new Sha256()
  for (let n = 0; n < 1000; n++) hash.update(Buffer.alloc(1000, 'a'))
  assert.equal(hash.hex(), 'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0', 'a million a')
})

test('every length around a block, in pieces of any size', () => {
  for (let length = 0; length < 300; length++) {
    const bytes = randomBytes(length)
    const hash = new Sha256()
    for (let at = 0, next; at < length; at = next) {
      next = at + 1 + Math.floor(Math.random() * 80)
      hash.update(bytes.subarray(at, next))
    }
    assert.equal(hash.hex(), createHash('sha256').update(bytes).digest('hex'), `${length} bytes: ${bytes.toString('hex')}`)
  }
})
