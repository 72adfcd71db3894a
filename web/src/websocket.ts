import type { Frame } from './codec.ts'
import type { Transport, TransportListener } from './transport.ts'

export class WebSocketTransport implements Transport {
  readonly kind = 'websocket'
  listener: TransportListener | undefined
  private readonly socket: WebSocket

  /** Throws where the browser allows none, such as ws: from a page of https:. */
  constructor(address: URL, subprotocol: string) {
    this.socket = new WebSocket(address, subprotocol)
    this.socket.binaryType = 'arraybuffer'
    this.socket.onopen = () => this.listener?.opened()
    this.socket.onmessage = (event) => this.listener?.received(event.data)
    this.socket.onclose = (event) => this.listener?.closed(event.code, event.reason)
    this.socket.onerror = () => {} // says nothing; onclose follows
  }

  get open(): boolean {
    return this.socket.readyState === 1
  }

  get unsent(): number {
    return this.socket.bufferedAmount
  }

  write(frame: Frame): void {
    // Before the socket is open this throws, after it is closed the frame is lost.
    this.socket.send(frame)
  }

  close(): void {
    this.listener = undefined
    this.socket.close()
  }
}
