import type { Codec, Frame } from './codec.ts'
import { Failure } from './error.ts'
import type { ClientMessage, ErrorMessage, Hello, ServerMessage, Welcome } from './message.ts'

const handshake = 10_000 // from dialling to welcome
const heartbeat = 20_000
const impatience = 5_000 // for an answer to a probe

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
  /** `size` is that of the message on the wire, in characters or bytes. */
  received(message: ServerMessage, size: number): void
  ended(ending: Ending): void
}

/** One WebSocket, from dialling over hello and welcome to its end. After its end it calls nobody. */
export class Connection {
  private readonly socket: WebSocket
  private deadline: ReturnType<typeof setTimeout>
  private pulse?: ReturnType<typeof setInterval>
  private state: 'dialling' | 'greeting' | 'welcomed' | 'ended' = 'dialling'
  private complaint?: ErrorMessage
  private heard = 0 // messages, and beats at which an upload had moved
  private heardBefore = -1 // at the last beat
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
    this.heard++
    let message: ServerMessage
    try {
      message = this.codec.decode(frame)
    } catch (error) {
      const text = `a message of the server cannot be read: ${(error as Error).message}`
      this.listener.received({ op: 'error', code: 'bad_message', message: text }, 0)
      return
    }
    if (message.op === 'error') this.complaint = message
    if (this.state === 'welcomed') {
      this.listener.received(message, typeof frame === 'string' ? frame.length : frame.byteLength)
    } else if (message.op === 'welcome') {
      this.state = 'welcomed'
      clearTimeout(this.deadline)
      this.pulse = setInterval(() => this.beat(), heartbeat)
      this.listener.welcomed(message)
    }
  }

  /**
   * A browser does not notice a network that is gone. So we ask for a sign of life, and end the
   * connection if there was none since the last beat.
   */
  private beat(): void {
    this.look()
    if (this.heard === this.heardBefore) return this.cut('the server is silent')
    this.heardBefore = this.heard
    this.say({ op: 'ping', id: 0 })
  }

  /** There is reason to doubt the connection: asks for a sign of life now, and waits less for it. */
  probe(): void {
    if (this.state !== 'welcomed') return
    this.look()
    const { heard } = this
    this.say({ op: 'ping', id: 0 })
    clearTimeout(this.deadline)
    this.deadline = setTimeout(() => {
      this.look()
      if (this.heard === heard) this.cut('the server is silent')
    }, impatience)
  }

  // An upload that proceeds is a sign of life.
  private look(): void {
    const { bufferedAmount } = this.socket
    if (bufferedAmount !== this.unsent) this.heard++
    this.unsent = bufferedAmount
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
