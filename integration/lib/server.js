// The server under test: Caddy with our module, as a process of its own on the loopback interface.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { until } from './until.js'

const root = path.resolve(import.meta.dirname, '../..')
const logs = path.join(root, 'integration/logs')

// SERVER_CMD names another binary; it is run with the arguments of `caddy run`.
const command = process.env.SERVER_CMD ?? path.join(root, 'build/caddy-race')

// The network namespace is ours alone. No port may be one that the system gives to connections: it
// could do so while the server is down.
let nextPort = 8100

export class Server {
  #folder
  #config
  #log
  #process

  /** prepare writes a Caddyfile; rooms maps names to {password?, memory?, cells?, identity?}. */
  static async prepare(name, rooms) {
    const server = await Server.#create(name, nextPort++)
    server.#config = path.join(server.#folder, 'Caddyfile')
    await writeFile(server.#config, caddyfile(server.port, rooms))
    return server
  }

  /** configured takes a Caddyfile of the scenario's own; text is a function of the server. */
  static async configured(name, text) {
    const server = await Server.#create(name, nextPort++)
    server.#config = path.join(server.#folder, 'Caddyfile')
    await writeFile(server.#config, text(server))
    return server
  }

  /** example is caddy/Caddyfile.example, as it stands. */
  static async example(name) {
    const server = await Server.#create(name, 8080)
    server.#config = path.join(root, 'caddy/Caddyfile.example')
    return server
  }

  static async #create(name, port) {
    const server = new Server()
    server.port = port
    server.#folder = await mkdtemp(path.join(os.tmpdir(), 'genosrtc-'))
    await mkdir(logs, { recursive: true })
    server.logFile = path.join(logs, `${name}.server.log`)
    server.#log = createWriteStream(server.logFile)
    return server
  }

  get url() {
    return `http://localhost:${this.port}`
  }
  get relay() {
    return `ws://localhost:${this.port}/genosrtc/relay`
  }
  room = name => `ws://localhost:${this.port}/genosrtc/rooms/${encodeURIComponent(name)}/ws`

  /** start resolves when the relay answers. */
  async start() {
    this.spawn()
    await this.listening()
  }

  spawn() {
    const child = (this.#process = this.#command(['run', '--config', this.#config, '--adapter', 'caddyfile']))
    child.on('error', error => console.log(`# ${command}: ${error.message}`))
    child.stdout.pipe(this.#log, { end: false })
    child.stderr.pipe(this.#log, { end: false })
  }

  /** reload is `caddy reload` with another Caddyfile; it resolves with {ok, said}. */
  async reload(text) {
    const config = path.join(this.#folder, 'Caddyfile.reload')
    await writeFile(config, text)
    const child = this.#command(['reload', '--config', config, '--adapter', 'caddyfile', '--force'])
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', text => (said += text))
    const [code] = await once(child, 'close')
    return { ok: code === 0, said }
  }

  listening() {
    return until('the relay listens', async () => {
      assert.equal(this.#process.exitCode, null, `the server has ended, see ${this.logFile}`)
      return fetch(`${this.url}/genosrtc/relay`).then(response => response.ok, () => false)
    }, 30_000)
  }

  get pid() {
    return this.#process.pid
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
    assert.ok(!/WARNING: DATA RACE|^panic:|^fatal error:|"msg":"panic/m.test(log), `see ${this.logFile}`)
  }

  #command(args) {
    // With the race detector a process sleeps for a second before it ends, unless told otherwise.
    const env = { ...process.env, GORACE: 'atexit_sleep_ms=100', HOME: this.#folder, XDG_DATA_HOME: this.#folder, XDG_CONFIG_HOME: this.#folder }
    return spawn(command, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
  }

  async #signal(signal) {
    this.#process.kill(signal)
    await until(`the server ends after ${signal}`, () => !this.alive, 15_000)
  }
}

// The pages are served too, for those that must come from the server itself.
const caddyfile = (port, rooms) => `{
	admin off
	persist_config off
	auto_https off
	genosrtc {
		udp 127.0.0.1:${port}
	}
}
http://:${port} {
	bind 127.0.0.1
	genosrtc {
${Object.entries(rooms).map(roomBlock).join('\n')}
	}
	root ${path.join(root, 'integration')}
	file_server
}
`

const roomBlock = ([name, { password, memory, cells, identity }]) => {
  const lines = [...(password ? [`password "${password}"`] : []), ...(memory ? ['memory', 'anonymous write'] : []), ...(cells ? [`cells ${cells}`] : []), ...(identity ? [`identity ${identity}`] : [])]
  return `\t\troom ${name}${lines.length ? ` {\n\t\t\t${lines.join('\n\t\t\t')}\n\t\t}` : ''}`
}
