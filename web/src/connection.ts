import type { Codec, Frame } from './codec.ts'
import { Failure } from './error.ts'
import type { ClientMessage, ErrorMessage, Hello, ServerMessage, Welcome } from './message.ts'

const handshake = 10_000 // from dialling to welcome
const heartbeat = 20_000

/** How a connection ended. */
export interface Ending {
  code: number
  reason: string
  /** Whether the WebSocket was open at all; if not, the server may have said why over HTTP. */
  opened: boolean
  /** What the server complained about last. */
  complaint?: ErrorMessage
}

/** Who is told what a connection hears. */
export interface Listener {
  welcomed(welcome: Welcome): void
  received(message: ServerMessage): void
  ended(ending: Ending): void
}

/** One WebSocket, from dialling over hello and welcome to its end. After its end it calls nobody. */
export class Connection {
  private readonly socket: WebSocket
  private readonly deadline: ReturnType<typeof setTimeout>
  private pulse?: ReturnType<typeof setInterval>
  private state: 'dialling' | 'greeting' | 'welcomed' | 'ended' = 'dialling'
  private complaint?: ErrorMessage
  private alive = true
  private unsent = 0

  constructor(
    address: URL,
    hello: Hello,
    private readonly codec: Codec,
    private readonly listener: Listener,
  ) {
    this.socket = new WebSocket(address, codec.subprotocol)
    this.socket.binaryType = 'arraybuffer'
    this.socket.onopen = () => {
      this.state = 'greeting'
      this.say(hello)
    }
    this.socket.onmessage = (event) => this.receive(event.data)
    this.socket.onclose = (event) => this.end(event.code, event.reason)
    this.socket.onerror = () => {} // says nothing; onclose follows
    this.deadline = setTimeout(() => this.cut('no welcome in time'), handshake)
  }

  write(frame: Frame): void {
    // Before the socket is open this throws, after it is closed the frame is lost.
    this.socket.send(frame)
  }

  say(message: ClientMessage): void {
    this.write(this.codec.encode(message))
  }

  /** Ends the connection now, without waiting for a network that may be gone. */
  cut(reason: string): void {
    this.socket.close()
    this.end(1006, reason)
  }

  private receive(frame: string | ArrayBuffer): void {
    if (this.state === 'ended') return
    this.alive = true
    let message: ServerMessage
    try {
      message = this.codec.decode(frame)
    } catch (error) {
      const text = `a message of the server cannot be read: ${(error as Error).message}`
      this.listener.received({ op: 'error', code: 'bad_message', message: text })
      return
    }
    if (message.op === 'error') this.complaint = message
    if (this.state === 'welcomed') {
      this.listener.received(message)
    } else if (message.op === 'welcome') {
      this.state = 'welcomed'
      clearTimeout(this.deadline)
      this.pulse = setInterval(() => this.beat(), heartbeat)
      this.listener.welcomed(message)
    }
  }

  /**
   * A browser does not notice a network that is gone. So we ask for a sign of life, and end the
   * connection if there was none since the last beat; an upload that proceeds is one.
   */
  private beat(): void {
    if (this.socket.bufferedAmount !== this.unsent) this.alive = true
    if (!this.alive) return this.cut('the server is silent')
    this.alive = false
    this.unsent = this.socket.bufferedAmount
    this.say({ op: 'ping', id: 0 })
  }

  private end(code: number, reason: string): void {
    if (this.state === 'ended') return
    const opened = this.state !== 'dialling'
    this.state = 'ended'
    clearTimeout(this.deadline)
    clearInterval(this.pulse)
    this.listener.ended({ code, reason, opened, ...(this.complaint && { complaint: this.complaint }) })
  }
}

/** The error for good that an ending means, or undefined where the session can be resumed. */
export function verdict({ code, reason, complaint }: Ending): Failure | undefined {
  if (code === 4000) return new Failure('resumed_elsewhere', reason || 'another connection has this session')
  // 1002, 1003 and 1008: what we said was refused, and we would say the same again.
  if (![1000, 1002, 1003, 1008].includes(code)) return undefined
  if (complaint && (reason === complaint.code || !reason)) return new Failure(complaint.code, complaint.message)
  return new Failure('refused', reason || `closed with ${code}`)
}
