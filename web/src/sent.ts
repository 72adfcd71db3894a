import type { Reach } from './reach.ts'

const most = 1000

/** The last 1,000 messages of ours by seq. What is said of older ones is no longer told. */
export class SentLog {
  private readonly bySeq = new Map<number, Reach>()

  add(seq: number, reach: Reach): void {
    this.bySeq.set(seq, reach)
    if (this.bySeq.size > most) this.bySeq.delete(this.bySeq.keys().next().value!)
  }

  get(seq: number): Reach | undefined {
    return this.bySeq.get(seq)
  }
}
