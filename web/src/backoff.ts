const shortest = 500
const longest = 30_000

/**
 * How long to wait after so many failures in a row, in milliseconds: from 0.5 s, doubling, at
 * most 30 s. Half of it is random, so that the clients of a restarted server do not return at once.
 */
export function backoff(failures: number): number {
  const most = Math.min(longest, shortest * 2 ** failures)
  return most / 2 + (Math.random() * most) / 2
}

/** Waits; less if `signal` is aborted, or the browser says that the network is back. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      globalThis.removeEventListener?.('online', done)
      resolve()
    }
    const timer = setTimeout(done, milliseconds)
    signal.addEventListener('abort', done)
    globalThis.addEventListener?.('online', done)
    if (signal.aborted) done()
  })
}
