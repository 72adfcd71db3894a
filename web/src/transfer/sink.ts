// Where the bytes of a transfer go that comes to us.

/** Takes bytes in order, and reports by `taken` how many it has used, at once or later. */
export interface Sink {
  write(bytes: Uint8Array): void
  /** No byte is missing and none is wrong. */
  end(): void
  fail(error: Error): void
}

/** Puts the payload together in memory. */
export class Assembly implements Sink {
  private readonly bytes: Uint8Array
  private at = 0

  /** `whole` gets the payload. It may throw if that is not what it should be. */
  constructor(
    size: number,
    private readonly taken: (bytes: number) => void,
    private readonly whole: (bytes: Uint8Array) => void,
  ) {
    this.bytes = new Uint8Array(size)
  }

  write(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.at)
    this.at += bytes.length
    this.taken(bytes.length)
  }

  end(): void {
    this.whole(this.bytes)
  }

  fail(): void {}
}

/** Hands the bytes to a reader as fast as it asks for them. */
export class Stream implements Sink {
  readonly readable: ReadableStream<Uint8Array>
  private readonly queue: Uint8Array[] = []
  private controller!: ReadableStreamDefaultController<Uint8Array>
  private wanted = false
  private open = true

  constructor(
    private readonly taken: (bytes: number) => void,
    cancelled: (reason: unknown) => void,
  ) {
    this.readable = new ReadableStream(
      {
        start: (controller) => void (this.controller = controller),
        pull: () => {
          this.wanted = true
          this.give()
        },
        cancel: (reason) => {
          this.open = false
          cancelled(reason)
        },
      },
      { highWaterMark: 0 }, // what nobody has asked for is not taken
    )
  }

  write(bytes: Uint8Array): void {
    this.queue.push(bytes.slice()) // it is a view of a frame
    this.give()
  }

  end(): void {
    if (this.open) this.controller.close()
    this.open = false
  }

  fail(error: Error): void {
    if (this.open) this.controller.error(error)
    this.open = false
  }

  private give(): void {
    const bytes = this.wanted && this.open ? this.queue.shift() : undefined
    if (!bytes) return
    this.wanted = false
    this.controller.enqueue(bytes)
    this.taken(bytes.length)
  }
}
