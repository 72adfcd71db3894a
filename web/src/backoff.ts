import { onWake } from './wake.ts'

/**
 * How long to wait after so many failures in a row, in milliseconds: from 0.5 s, doubling, at
 * most 30 s. Half of it is random, so that the clients of a restarted server do not return at once.
 */
export function backoff(failures: number, shortest = 500, longest = 30_000): number {
  const most = Math.min(longest, shortest * 2 ** failures)
  return Math.ceil(most / 2 + (Math.random() * most) / 2)
}

/** Waits; less if `signal` is aborted, or waiting is no longer of use. Resolves with whether it was all of the time. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const done = (whole: boolean) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', cut)
      sleep()
      resolve(whole)
    }
    const cut = () => done(false)
    const timer = setTimeout(done, milliseconds, true)
    const sleep = onWake(cut)
    signal.addEventListener('abort', cut)
    if (signal.aborted) cut()
  })
}
