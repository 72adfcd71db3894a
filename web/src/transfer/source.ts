import { Sha256 } from '../sha256.ts'

const ahead = 256 * 1024 // read at once: a read has a price, and the hash of it holds up the page

/** A payload that is read piece by piece, and hashed on the way. */
export class Source {
  private readonly hash = new Sha256()
  private hashed = 0
  private digest: string | undefined
  private at = 0
  private piece = new Uint8Array(0)

  constructor(private readonly blob: Blob) {}

  get size(): number {
    return this.blob.size
  }

  /** Bytes from `offset`, at most `most` of them and at least one. Rejects if the Blob cannot be read (any more). */
  async read(offset: number, most: number): Promise<Uint8Array> {
    if (offset < this.at || offset >= this.at + this.piece.length) await this.load(offset)
    return this.piece.subarray(offset - this.at, offset - this.at + most)
  }

  /** The SHA-256 of the whole payload, in hex. */
  async sha256(): Promise<string> {
    while (this.hashed < this.size) await this.load(this.hashed)
    return (this.digest ??= this.hash.hex())
  }

  private async load(offset: number): Promise<void> {
    const piece = new Uint8Array(await this.blob.slice(offset, offset + ahead).arrayBuffer())
    const fresh = this.hashed - offset
    if (fresh >= 0 && fresh < piece.length) {
      this.hash.update(piece.subarray(fresh))
      this.hashed = offset + piece.length
    }
    this.at = offset
    this.piece = piece
  }
}
