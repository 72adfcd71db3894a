import { Failure } from './error.ts'

interface Ping {
  began: number
  timer: ReturnType<typeof setTimeout>
  resolve: (milliseconds: number) => void
  reject: (error: Error) => void
}

const most = 256
const timeout = 15_000 // longer than the server's own 10 s, whose answer says more

/** The pings under way, by id. */
export class Pings {
  private readonly underWay = new Map<number, Ping>()

  constructor(private readonly nextId: () => number) {}

  /** Sends a ping by `write` and resolves with its round trip in milliseconds. */
  start(write: (id: number) => void): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.underWay.size >= most) throw new Failure('too_many', `ping: ${most} are under way already`)
      const id = this.nextId()
      write(id)
      const timer = setTimeout(() => this.finish(id, 'timeout'), timeout)
      this.underWay.set(id, { began: performance.now(), timer, resolve, reject })
    })
  }

  /** A ping was answered, or has failed. Reports whether it was under way. */
  finish(id: number, error?: string): boolean {
    const ping = this.underWay.get(id)
    if (!ping) return false
    this.underWay.delete(id)
    clearTimeout(ping.timer)
    if (error) ping.reject(new Failure(error, `ping: ${error}`))
    else ping.resolve(performance.now() - ping.began)
    return true
  }

  /** No pong can come any more. */
  close(error: string): void {
    for (const id of [...this.underWay.keys()]) this.finish(id, error)
  }
}
