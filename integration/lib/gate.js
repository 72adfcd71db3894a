// A gate in front of a server: who comes through it can be cut off while the server lives.

import net from 'node:net'

export class Gate {
  #port
  #target
  #server
  #sockets = new Set()
  #webSockets = new Set()

  /** A gate lets connections to `port` through to `target`, another port of the loopback interface. */
  constructor(port, target) {
    this.#port = port
    this.#target = target
  }

  get site() {
    return `http://localhost:${this.#port}`
  }
  get relay() {
    return `ws://localhost:${this.#port}/genosrtc/relay`
  }

  open() {
    this.#server = net.createServer(socket => {
      const onward = net.connect(this.#target, '127.0.0.1')
      socket.once('data', head => /^upgrade: websocket/im.test(head) && this.#webSockets.add(socket).add(onward))
      for (const [one, other] of [[socket, onward], [onward, socket]]) {
        this.#sockets.add(one)
        one.on('error', () => {}).on('close', () => {
          this.#sockets.delete(one)
          this.#webSockets.delete(one)
          other.destroy()
        })
        one.pipe(other)
      }
    })
    return new Promise((resolve, reject) =>
      this.#server.once('error', reject).listen(this.#port, '127.0.0.1', resolve))
  }

  /** stall lets nothing more through on the WebSockets that are open, and does not close them: a network that is gone. */
  stall() {
    for (const socket of this.#webSockets) socket.unpipe().pause()
  }

  /** cut ends all connections, and refuses others. */
  cut() {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }
}
