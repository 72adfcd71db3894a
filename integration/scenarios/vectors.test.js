// The test's own peer against what GenosDB was seen to send. Its modules run in Node too.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { Assembler, encode } from '../browser/frame.js'
import { Envelope, kind, rootTopic, selfTopic } from '../browser/signaling.js'
import { Topology, hash } from '../browser/topology.js'

const read = async path => JSON.parse(await readFile(new URL(path, import.meta.url), 'utf8'))
const { topics, sdp } = await read('../../signaling/testdata/vectors.json')
const { frames } = await read('../../engine/frame/testdata/vectors.json')
const cells = await read('../../engine/cells/testdata/vectors.json')

test('topics and kinds', () => {
  for (const { room, what, preimage, topic, kind: number } of topics) {
    assert.equal(what === 'room' ? rootTopic(room) : selfTopic(room, preimage.split('@')[3]), topic)
    assert.equal(kind(topic), number)
  }
})

test('sealed SDP is opened, with its password only', async () => {
  for (const { room, password, envelope, plaintext } of sdp) {
    assert.equal(await new Envelope(room, password).open(envelope), plaintext)
    await assert.rejects(new Envelope(room, 'wrong').open(envelope))
  }
})

test('frames are taken apart and made again', async () => {
  for (const vector of frames) {
    // Of long frames there is only a digest.
    for (const message of messages(vector.frames).filter(all => all.every(({ hex }) => hex))) {
      const sent = message.map(({ hex }) => Buffer.from(hex, 'hex'))
      const { name, meta, data } = push(sent)
      const value = await data()
      const again = await encode(name, sent[0][12], value, meta)
      if (message[0].flags.includes('zlib')) {
        // Compressors differ, so the header and the content are compared.
        assert.deepEqual(headers(again), headers(sent), vector.sent)
        assert.deepEqual(await push(again).data(), value, vector.sent)
      } else {
        assert.deepEqual(again.map(frame => Buffer.from(frame)), sent, vector.sent)
      }
    }
  }
})

test('hashes of ids', () => {
  for (const vector of cells.hash) assert.equal(hash(vector.input), vector.hash, vector.input)
})

test('topologies: cells, bridges, links', () => {
  for (const { cellSize, cells: count, ttl, sizes, peers } of cells.topology) {
    const topology = new Topology(peers.map(({ id }) => id), cellSize)
    assert.equal(topology.ttl, ttl)
    assert.deepEqual(topology.cells.map(members => members.length), sizes, `${count} cells`)
    for (const { id, cell, isBridge, bridges, links } of peers) {
      assert.equal(`cell-${topology.cellOf(id)}`, cell)
      assert.equal(topology.isBridge(id), isBridge)
      assert.deepEqual(topology.bridged(id).map(cell => `cell-${cell}`), bridges)
      assert.deepEqual(topology.links(id), links)
    }
  }
})

// A vector may hold several messages, each of which ends with its last frame.
function messages(frames) {
  const ends = frames.flatMap(({ flags }, i) => (flags.includes('last') ? [i + 1] : []))
  return ends.map((end, i) => frames.slice(ends[i - 1] ?? 0, end))
}

function push(frames) {
  const assembler = new Assembler()
  return frames.map(frame => assembler.push(frame)).at(-1)
}

const headers = frames => frames.map(frame => Buffer.from(frame.subarray(0, 15)))
