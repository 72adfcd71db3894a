import type { Codec, Frame } from './codec.ts'
import { Failure } from './error.ts'
import type { ClientMessage, EndMessage, ErrorMessage, Hello, ServerMessage, Welcome } from './message.ts'
import type { Refusal } from './refusal.ts'
import type { Transport } from './transport.ts'

const handshake = 10_000 // from dialling to welcome
const heartbeat = 20_000
const impatience = 5_000 // for an answer to a probe
const suspicion = 2_000 // the same, where the transport itself has doubts
const retirement = 1_000 // from the welcome of the next connection

/** How a connection ended. */
export interface Ending {
  code: number
  reason: string
  /** Whether the transport was open at all; if not, the server may have said why over HTTP. */
  opened: boolean
  /** What it has said already. */
  refusal?: Refusal | undefined
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

/** One transport, from dialling over hello and welcome to its end. After its end it calls nobody. */
export class Connection {
  private deadline: ReturnType<typeof setTimeout>
  private pulse?: ReturnType<typeof setInterval>
  private state: 'dialling' | 'greeting' | 'welcomed' | 'ended' = 'dialling'
  private complaint?: ErrorMessage
  private heard = 0 // messages, and beats at which an upload had moved
  private heardBefore = -1 // at the last beat
  private written = 0 // characters or bytes
  private left = 0 // of them, at the last look
  private unsent = 0 // the others
  private held?: (string | ArrayBuffer)[] | undefined // what came before the connection before us had ended
  private retired?: () => void

  /** `before` has the session until the server welcomes this one. What it hears comes first. */
  constructor(
    readonly transport: Transport,
    hello: Hello,
    private readonly codec: Codec,
    private readonly listener: Listener,
    private before?: Connection,
  ) {
    const greet = () => {
      this.state = 'greeting'
      this.say(hello)
    }
    transport.listener = {
      opened: greet,
      received: (frame) => this.receive(frame),
      doubted: () => this.probe(suspicion),
      closed: (code, reason, refusal) => this.end(code, reason, refusal),
    }
    if (transport.open) greet()
    this.deadline = setTimeout(() => this.cut('no welcome in time'), handshake)
  }

  write(frame: Frame): void {
    this.transport.write(frame)
    this.written += frame.length
  }

  say(message: ClientMessage): void {
    this.write(this.codec.encode(message))
  }

  /** Ends the connection now, without waiting for a network that may be gone. */
  cut(reason: string): void {
    this.transport.close()
    this.end(1006, reason)
  }

  private receive(frame: string | ArrayBuffer): void {
    if (this.state === 'ended') return
    this.heard++
    if (this.held) return void this.held.push(frame)
    let message: ServerMessage | EndMessage
    try {
      message = this.codec.decode(frame)
    } catch (error) {
      const text = `a message of the server cannot be read: ${(error as Error).message}`
      this.listener.received({ op: 'error', code: 'bad_message', message: text }, 0)
      return
    }
    if (message.op === 'error') this.complaint = message
    if (message.op === 'end' && 'code' in message) {
      this.transport.close()
      return this.end(message.code, message.reason ?? '')
    }
    if (this.state === 'welcomed') {
      this.listener.received(message, typeof frame === 'string' ? frame.length : frame.byteLength)
    } else if (message.op === 'welcome') {
      const { before } = this
      this.before = undefined
      if (before && before.state !== 'ended') {
        this.held = [frame]
        return before.retire(() => this.release())
      }
      this.state = 'welcomed'
      clearTimeout(this.deadline)
      this.pulse = setInterval(() => this.beat(), heartbeat)
      this.listener.welcomed(message)
    }
  }

  private release(): void {
    const frames = this.held ?? []
    this.held = undefined
    for (const frame of frames) this.receive(frame)
  }

  // Another connection has the session: the server ends this one, after all that it had to say.
  private retire(retired: () => void): void {
    this.retired = retired
    clearTimeout(this.deadline)
    this.deadline = setTimeout(() => this.cut('moved'), retirement)
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
  probe(patience = impatience): void {
    if (this.state !== 'welcomed') return
    this.look()
    const { heard } = this
    this.say({ op: 'ping', id: 0 })
    clearTimeout(this.deadline)
    this.deadline = setTimeout(() => {
      this.look()
      if (this.heard === heard) this.cut('the server is silent')
    }, patience)
  }

  // An upload that proceeds is a sign of life.
  private look(): void {
    const { unsent } = this.transport
    const left = this.written - unsent
    if (this.unsent > 0 && left > this.left) this.heard++
    this.left = left
    this.unsent = unsent
  }

  private end(code: number, reason: string, refusal?: Refusal): void {
    if (this.state === 'ended') return
    const opened = this.state !== 'dialling'
    this.state = 'ended'
    clearTimeout(this.deadline)
    clearInterval(this.pulse)
    this.listener.ended({ code, reason, opened, refusal, ...(this.complaint && { complaint: this.complaint }) })
    this.retired?.()
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
