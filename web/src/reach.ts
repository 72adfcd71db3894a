import type { OnProgress } from './client.ts'
import { guarded } from './emitter.ts'

/** What the application may be told of a send later: to whom it came, and whom it missed. */
export class Reach {
  private readonly fractions = new Map<string, number>() // of each peer, as it was told; Infinity: it was missed

  constructor(
    readonly channel: string,
    readonly meta: unknown,
    private readonly onProgress: OnProgress | undefined,
  ) {}

  /** Tells how far it is with a recipient. What was told does not fall, and is not told again, though the server may say it. */
  progress(peer: string, fraction: number): void {
    if (fraction <= (this.fractions.get(peer) ?? 0)) return
    this.fractions.set(peer, fraction)
    if (this.onProgress) guarded(this.onProgress, fraction, peer, this.meta)
  }

  /** A recipient was missed; without a name, some of them. Returns whether that is news. */
  missed(peer = ''): boolean {
    const news = this.fractions.get(peer) !== Infinity
    this.fractions.set(peer, Infinity)
    return news
  }

  /** All others have it; the report of that may have been lost with a connection. */
  complete(): void {
    for (const peer of this.fractions.keys()) this.progress(peer, 1)
  }
}
