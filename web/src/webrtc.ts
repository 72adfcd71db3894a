import type { Frame } from './codec.ts'
import { Joiner, split } from './pieces.ts'
import { judge, type Refusal } from './refusal.ts'
import type { Transport, TransportListener } from './transport.ts'

const opening = 5_000 // from the offer to the open channel
const full = 1024 * 1024 // bytes in the channel; Chromium closes one that is to hold more than 16 MiB

/** Whether there is WebRTC here: Node has none, and workers have none. */
export const hasWebRTC = () => typeof RTCPeerConnection === 'function'

/**
 * A data channel that one POST opens (docs/gateway.md, 'WebRTC'). The server answers on a public port, and
 * learns our address from our first packet: so there is neither a candidate nor a STUN server to wait for.
 */
export class WebRTCTransport implements Transport {
  readonly kind = 'webrtc'
  listener: TransportListener | undefined
  private readonly peer = new RTCPeerConnection()
  private readonly channel = this.peer.createDataChannel('genosrtc')
  private readonly closing = new AbortController()
  private readonly deadline = setTimeout(() => this.end('no data channel in time'), opening)
  private readonly joiner = new Joiner()
  private waiting: Uint8Array<ArrayBuffer>[] = []
  private bytes = 0 // of those that wait
  private readonly credentials: Record<string, string> = {} // as headers
  private resource?: URL // of the server, for this

  constructor(address: URL, authorization: string | undefined) {
    if (authorization !== undefined) this.credentials.Authorization = authorization
    const { channel, peer } = this
    channel.binaryType = 'arraybuffer'
    channel.bufferedAmountLowThreshold = full / 2
    channel.onopen = () => {
      clearTimeout(this.deadline)
      this.listener?.opened()
    }
    channel.onmessage = ({ data }) => this.receive(data)
    channel.onbufferedamountlow = () => this.flush()
    channel.onclose = () => this.end('the data channel was closed')
    peer.onconnectionstatechange = () => {
      if (peer.connectionState === 'disconnected') this.listener?.doubted()
      if (peer.connectionState === 'failed') this.end('no packet came through')
    }
    this.dial(address).catch((error: Error) => this.end(error.message))
  }

  get open(): boolean {
    return this.channel.readyState === 'open'
  }

  get unsent(): number {
    return this.channel.bufferedAmount + this.bytes
  }

  /** Takes what MessagePack has made; after the end it is lost. */
  write(frame: Frame): void {
    if (!this.open) return
    for (const piece of split(frame as Uint8Array<ArrayBuffer>, this.peer.sctp!.maxMessageSize)) {
      this.waiting.push(piece)
      this.bytes += piece.length
    }
    this.flush()
  }

  close(): void {
    this.listener = undefined
    this.end('closed')
  }

  private async dial(address: URL): Promise<void> {
    const { peer } = this
    await peer.setLocalDescription()
    const headers = { 'Content-Type': 'application/sdp', ...this.credentials }
    const body = peer.localDescription!.sdp
    const request = fetch(address, { method: 'POST', headers, body, cache: 'no-store', signal: this.closing.signal })
    const response = await request.catch(() => Promise.reject(new Error('the server cannot be reached')))
    if (response.status !== 201) {
      const refusal = await judge(response)
      return this.end(refusal.text, refusal)
    }
    const location = response.headers.get('Location')
    if (location) this.resource = new URL(location, response.url)
    await peer.setRemoteDescription({ type: 'answer', sdp: await response.text() })
  }

  private flush(): void {
    while (this.open && this.waiting.length > 0 && this.channel.bufferedAmount < full) {
      const piece = this.waiting.shift()!
      this.bytes -= piece.length
      this.channel.send(piece)
    }
  }

  private receive(data: string | ArrayBuffer): void {
    try {
      const message = typeof data === 'string' ? data : this.joiner.take(data)
      if (message !== undefined) this.listener?.received(message)
    } catch (error) {
      this.end((error as Error).message)
    }
  }

  private end(reason: string, refusal: Refusal = { text: reason, wait: 0 }): void {
    const { listener } = this
    if (this.closing.signal.aborted) return
    this.closing.abort()
    this.listener = undefined
    clearTimeout(this.deadline)
    // The server would wait for half a minute for what we do not wait for.
    if (this.channel.readyState === 'connecting' && this.resource) {
      fetch(this.resource, { method: 'DELETE', headers: this.credentials, keepalive: true }).catch(() => {})
    }
    this.peer.close()
    listener?.closed(1006, reason, refusal)
  }
}
