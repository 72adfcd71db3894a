import type { Frame } from './codec.ts'
import type { Refusal } from './refusal.ts'

/** Who is told what happens to a transport. */
export interface TransportListener {
  opened(): void
  received(frame: string | ArrayBuffer): void
  /** The network may be gone. */
  doubted(): void
  /** It is over. `refusal`: why the server did not open it, where it has said so. */
  closed(code: number, reason: string, refusal?: Refusal): void
}

/** What carries the messages of a connection, from the time that it is dialled. */
export interface Transport {
  readonly kind: 'webrtc' | 'websocket'
  /** Whether it takes messages. */
  readonly open: boolean
  /** Bytes that were written and have not left. */
  readonly unsent: number
  listener: TransportListener | undefined
  write(frame: Frame): void
  /** Ends it without a word to the listener. */
  close(): void
}
