import { offerAddress } from './address.ts'
import { backoff } from './backoff.ts'
import type { JoinOptions } from './client.ts'
import type { Codec } from './codec.ts'
import { Failure } from './error.ts'
import type { Transport } from './transport.ts'
import { hasWebRTC, WebRTCTransport } from './webrtc.ts'
import { WebSocketTransport } from './websocket.ts'

const soonest = 10_000
const latest = 600_000
const stable = 60_000 // a data channel that lasted so long was no failure

/** What a room's connections go over (JoinOptions.transport). */
export class Transports {
  private readonly wanted: NonNullable<JoinOptions['transport']>
  private failures = 0 // of WebRTC, in a row
  private due = 0 // when WebRTC is worth a try again
  private timer?: ReturnType<typeof setTimeout>
  private trial?: Transport | undefined
  private current?: Transport | undefined
  private since = Infinity // it was welcomed

  constructor(
    { transport = 'websocket' }: JoinOptions,
    private readonly address: URL,
    private readonly codec: Codec,
  ) {
    if (!['auto', 'webrtc', 'websocket'].includes(transport)) throw new TypeError(`transport ${transport}: auto, webrtc and websocket are known`)
    if (transport !== 'websocket' && codec.subprotocol.endsWith('json')) throw new TypeError(`transport ${transport}: it takes msgpack`)
    if (transport === 'webrtc' && !hasWebRTC()) throw new Failure('unsupported', 'transport webrtc: there is no WebRTC here')
    this.wanted = transport === 'auto' && !hasWebRTC() ? 'websocket' : transport
  }

  /** The next one to try. `authorization` is a header for requests over HTTP. */
  dial(authorization: string | undefined): Transport {
    const webrtc = this.wanted === 'webrtc' || (this.wanted === 'auto' && performance.now() >= this.due)
    this.current = webrtc ? this.offer(authorization) : new WebSocketTransport(this.address, this.codec.subprotocol)
    return this.current
  }

  /** The last one has ended, if it had opened. Reports whether there is another one to try at once. */
  ended(opened: boolean): boolean {
    this.stop()
    const { current, since } = this
    this.current = undefined
    this.since = Infinity
    if (this.wanted !== 'auto' || current?.kind !== 'webrtc') return false
    this.failed(performance.now() - since)
    return !opened
  }

  /** This one has the session. If it should be WebRTC, that is tried when it is due, and then now and then: what opens goes to `opened`. */
  welcomed(transport: Transport, authorize: () => Promise<string | undefined>, opened: (transport: Transport) => void): void {
    this.stop()
    if (transport !== this.current || this.since === Infinity) this.since = performance.now()
    this.current = transport
    if (this.wanted !== 'auto' || transport.kind === 'webrtc') return
    const again = () => {
      this.failed(0)
      this.welcomed(transport, authorize, opened)
    }
    const attempt = async () => {
      const authorization = await authorize()
      if (timer !== this.timer) return // it was stopped
      const trial = (this.trial = this.offer(authorization))
      trial.listener = {
        opened: () => {
          this.trial = undefined
          opened(trial)
        },
        closed: again,
        received() {},
        doubted() {},
      }
    }
    const timer = setTimeout(() => attempt().catch(() => timer === this.timer && again()), Math.max(0, this.due - performance.now()))
    this.timer = timer
  }

  /** What had opened was not welcomed. */
  refused(): void {
    this.failed(0)
  }

  /** Nothing more is tried. */
  stop(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    this.trial?.close()
    this.trial = undefined
  }

  private offer(authorization: string | undefined): Transport {
    return new WebRTCTransport(offerAddress(this.address), authorization)
  }

  private failed(lasted: number): void {
    this.failures = lasted > stable ? 0 : this.failures + 1
    this.due = performance.now() + backoff(this.failures, soonest / 2, latest)
  }
}
