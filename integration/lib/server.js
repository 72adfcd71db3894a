// The server under test: Caddy with our module, as a process of its own on the loopback interface.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { until } from './until.js'

const root = path.resolve(import.meta.dirname, '../..')
const logs = path.join(root, 'integration/logs')

// SERVER_CMD names another binary; it is run with the arguments of `caddy run`.
const command = (process.env.SERVER_CMD ?? path.join(root, 'build/caddy')).split(' ')

export class Server {
  #folder
  #config
  #log
  #process

  /** prepare takes free ports and writes the Caddyfile; rooms maps names to {password?}. */
  static async prepare(name, rooms) {
    const server = new Server()
    server.port = await freePort(listenTCP)
    const udp = await freePort(listenUDP)
    server.#folder = await mkdtemp(path.join(os.tmpdir(), 'genosrtc-'))
    server.#config = path.join(server.#folder, 'Caddyfile')
    await writeFile(server.#config, caddyfile(server.port, udp, rooms))
    await mkdir(logs, { recursive: true })
    server.logFile = path.join(logs, `${name}.server.log`)
    server.#log = createWriteStream(server.logFile)
    return server
  }

  get url() {
    return `http://127.0.0.1:${this.port}`
  }
  get relay() {
    return `ws://127.0.0.1:${this.port}/genosrtc/relay`
  }
  room = name => `ws://127.0.0.1:${this.port}/genosrtc/rooms/${encodeURIComponent(name)}/ws`

  /** start resolves when the relay answers. */
  async start() {
    this.spawn()
    await this.listening()
  }

  spawn() {
    const [file, ...args] = [...command, 'run', '--config', this.#config, '--adapter', 'caddyfile']
    const env = { ...process.env, HOME: this.#folder, XDG_DATA_HOME: this.#folder, XDG_CONFIG_HOME: this.#folder }
    const child = (this.#process = spawn(file, args, { cwd: this.#folder, env, stdio: ['ignore', 'pipe', 'pipe'] }))
    child.on('error', error => console.log(`# ${file}: ${error.message}`))
    child.stdout.pipe(this.#log, { end: false })
    child.stderr.pipe(this.#log, { end: false })
  }

  listening() {
    return until('the relay listens', async () => {
      assert.equal(this.#process.exitCode, null, `the server has ended, see ${this.logFile}`)
      return fetch(`${this.url}/genosrtc/relay`).then(response => response.ok, () => false)
    }, 30_000)
  }

  get alive() {
    return this.#process.exitCode === null && this.#process.signalCode === null
  }

  /** kill is kill -9; stop is what an operator does. Both resolve when the process has ended. */
  kill = () => this.#signal('SIGKILL')
  stop = () => this.#signal('SIGTERM')

  /** close stops the server and fails if it has panicked or the race detector spoke. */
  async close() {
    if (this.alive) await this.stop()
    await new Promise(resolve => this.#log.end(resolve))
    await rm(this.#folder, { recursive: true, force: true })
    const log = await readFile(this.logFile, 'utf8')
    assert.doesNotMatch(log, /WARNING: DATA RACE|^panic:|^fatal error:|"msg":"panic/m, `see ${this.logFile}`)
  }

  async #signal(signal) {
    this.#process.kill(signal)
    await until(`the server ends after ${signal}`, () => !this.alive, 15_000)
  }
}

const caddyfile = (port, udp, rooms) => `{
	admin off
	persist_config off
	auto_https off
	genosrtc {
		udp 127.0.0.1:${udp}
	}
}
http://:${port} {
	bind 127.0.0.1
	genosrtc {
${Object.entries(rooms).map(roomBlock).join('\n')}
	}
}
`

const roomBlock = ([name, { password }]) =>
  password ? `\t\troom ${name} {\n\t\t\tpassword ${password}\n\t\t}` : `\t\troom ${name}`

async function freePort(listen) {
  const socket = await listen()
  const { port } = socket.address()
  await new Promise(resolve => socket.close(resolve))
  return port
}

const listenTCP = () =>
  new Promise(resolve => {
    const server = net.createServer().listen(0, '127.0.0.1', () => resolve(server))
  })

const listenUDP = () =>
  new Promise(resolve => {
    const socket = createSocket('udp4').bind(0, '127.0.0.1', () => resolve(socket))
  })
