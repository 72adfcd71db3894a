// The client in Python (python/genosrtc.py), as a process of its own.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { fingerprint, make } from '../pages/value.js'
import { codecs } from './client.js'
import { within } from './until.js'

const folder = path.resolve(import.meta.dirname, '../python')
export const PYTHON = process.env.PYTHON ?? 'python3'

// What both processes say are lines of JSON, with bytes as the session protocol has them.
const { encode, decode } = codecs.json

/** PythonClient answers the same calls as Page and Client do. */
export class PythonClient {
  id = null
  states = []
  #process
  #calls = new Map()
  #log = { messages: [], events: [], progress: [], states: this.states }

  /** join starts the process and joins a room of `site`, which is where the server's resources are. */
  static async join(site, room, { label = 'python', password = null } = {}) {
    const client = new PythonClient()
    client.label = label
    client.#process = spawn(PYTHON, ['participant.py', JSON.stringify([site, room, password])], {
      cwd: folder,
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', PYTHONUTF8: '1' },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    client.#process.on('error', error => console.log(`# ${label}: ${error.message}`))
    createInterface({ input: client.#process.stdout }).on('line', line => client.#hear(decode(line)))
    client.id = await client.#ask('join', [])
    return client
  }

  send(channel, spec, { to = null, meta = null, progress = false } = {}) {
    return this.#ask('send', [channel, to, meta, progress], make(spec))
  }
  /** transfer resolves when all recipients have the payload. */
  transfer(channel, spec, { to = null, meta = null } = {}) {
    return this.#ask('transfer', [channel, to, meta], make(spec))
  }
  ping = (peer = null) => this.#ask('ping', [peer])
  messages = () => this.#log.messages
  events = () => this.#log.events
  progress = () => this.#log.progress
  peers() {
    const present = new Set()
    for (const { event, peer } of this.#log.events) {
      if (event === 'join') present.add(peer)
      if (event === 'leave') present.delete(peer)
    }
    return [...present]
  }

  /** leave also ends the process. */
  async leave() {
    await this.#ask('leave', [])
    this.#process.stdin.end()
    await within(`${this.label} ends`, once(this.#process, 'exit'))
  }

  async #ask(call, args, data) {
    const id = this.#calls.size + 1
    const answered = new Promise((resolve, reject) => this.#calls.set(id, { resolve, reject }))
    this.#process.stdin.write(encode({ id, call, args, ...(data !== undefined && { data }) }) + '\n')
    return within(`${this.label}: ${call}`, answered, 40_000)
  }

  #hear({ id, data, error, log, ...entry }) {
    if (log) {
      this.#log[log].push(log === 'messages' ? { ...entry, data: fingerprint(data) } : entry)
    } else if (error) {
      this.#calls.get(id).reject(new Error(`${this.label}: ${error}`))
    } else {
      this.#calls.get(id).resolve(data)
    }
  }
}
