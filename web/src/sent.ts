import type { OnProgress } from './client.ts'

/** What is said about a send after it was acknowledged is said by its seq; this is what it was. */
export interface Sent {
  channel: string
  meta: unknown
  onProgress?: OnProgress | undefined
}

const most = 1000

/** The last 1,000 sends of a session by seq. Older ones are forgotten: their progress is no longer told. */
export class SentLog {
  private readonly bySeq = new Map<number, Sent>()

  add(seq: number, sent: Sent): void {
    this.bySeq.set(seq, sent)
    if (this.bySeq.size > most) this.bySeq.delete(this.bySeq.keys().next().value!)
  }

  get(seq: number): Sent | undefined {
    return this.bySeq.get(seq)
  }
}
