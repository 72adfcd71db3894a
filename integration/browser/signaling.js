// Signaling over Nostr relays (docs/protocol.md): topics, sealed SDP, signed events, sockets.

import { schnorr } from '@noble/curves/secp256k1.js'
import { sha1 } from '@noble/hashes/legacy.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'

const APP = '1234'
const RETRY = 3333
const RETRY_MAX = 30_000
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

const encoder = new TextEncoder()
const decoder = new TextDecoder()
const secretKey = schnorr.utils.randomSecretKey()
const publicKey = bytesToHex(schnorr.getPublicKey(secretKey))

/** randomId returns n random characters of [0-9A-Za-z]. */
export const randomId = n =>
  Array.from(crypto.getRandomValues(new Uint8Array(n)), byte => ALPHABET[byte % ALPHABET.length]).join('')

const topic = text => Array.from(sha1(encoder.encode(text)), byte => byte.toString(36)).join('')

/** rootTopic is where the peers of a room announce themselves. */
export const rootTopic = room => topic(`GenosRTC@${APP}@${room}`)

/** selfTopic is where one peer of a room takes offers and answers. */
export const selfTopic = (room, peer) => topic(`GenosRTC@${APP}@${room}@${peer}`)

/** kind is the Nostr event kind of a topic. */
export const kind = topic => 20000 + (Array.from(topic).reduce((sum, char) => sum + char.charCodeAt(0), 0) % 10000)

/** sign makes a Nostr event (NIP-01) of content on a topic; created_at is in seconds. */
export function sign(topic, content, created_at = seconds()) {
  const event = { kind: kind(topic), content, pubkey: publicKey, created_at, tags: [['x', topic]] }
  const id = sha256(encoder.encode(JSON.stringify([0, publicKey, created_at, event.kind, event.tags, content])))
  return { ...event, id: bytesToHex(id), sig: bytesToHex(schnorr.sign(id, secretKey)) }
}

/** Envelope seals and opens the SDP of a room's offers and answers. */
export class Envelope {
  #key

  constructor(room, password = '') {
    const raw = sha256(encoder.encode(`${password}:${APP}:${room}`))
    this.#key = crypto.subtle.importKey('raw', raw, 'AES-GCM', false, ['encrypt', 'decrypt'])
  }

  async seal(sdp) {
    const iv = crypto.getRandomValues(new Uint8Array(12))
    const sealed = await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, await this.#key, encoder.encode(sdp))
    return `${iv.join(',')}$${btoa(String.fromCharCode(...new Uint8Array(sealed)))}`
  }

  /** open throws if the text was sealed with another password. */
  async open(text) {
    const [iv, sealed] = text.split('$')
    const bytes = Uint8Array.from(atob(sealed), char => char.charCodeAt(0))
    const params = { name: 'AES-GCM', iv: Uint8Array.from(iv.split(',')) }
    return decoder.decode(await crypto.subtle.decrypt(params, await this.#key, bytes))
  }
}

/** Relay is a socket to one relay, for all rooms of the page; it comes back by itself. */
export class Relay {
  #socket
  #subscriptions = new Map()
  #retry = RETRY

  constructor(url) {
    this.url = url
    this.#connect()
  }

  get open() {
    return this.#socket.readyState === WebSocket.OPEN
  }

  /** subscribe calls handler with the content of each event on the topic; opened, when the relay first takes it. */
  subscribe(topic, handler, opened) {
    const id = randomId(64)
    this.#subscriptions.set(id, { topic, handler, opened })
    if (this.open) this.#request(id)
    return () => {
      this.#subscriptions.delete(id)
      this.#send(['CLOSE', id])
    }
  }

  publish(topic, content) {
    this.#send(['EVENT', sign(topic, JSON.stringify(content))])
  }

  #connect() {
    const socket = (this.#socket = new WebSocket(this.url))
    socket.onopen = () => {
      this.#retry = RETRY
      for (const id of this.#subscriptions.keys()) this.#request(id)
    }
    socket.onclose = () => {
      setTimeout(() => this.#connect(), this.#retry)
      this.#retry = Math.min(this.#retry * 2, RETRY_MAX)
    }
    socket.onmessage = ({ data }) => {
      const [type, id, event] = JSON.parse(data)
      const content = type === 'EVENT' && parse(event.content)
      if (content) this.#subscriptions.get(id)?.handler(content)
    }
  }

  #request(id) {
    const subscription = this.#subscriptions.get(id)
    const { topic, opened } = subscription
    this.#send(['REQ', id, { kinds: [kind(topic)], since: seconds(), '#x': [topic] }])
    subscription.opened = undefined
    opened?.()
  }

  #send(message) {
    if (this.open) this.#socket.send(JSON.stringify(message))
  }
}

// Anybody can publish anything: what is no JSON is nothing to us.
function parse(text) {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

const seconds = () => Math.floor(Date.now() / 1000)
