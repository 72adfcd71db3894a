import { setTimeout as sleep } from 'node:timers/promises'

/** until resolves with the first true value of condition; it fails after `timeout` ms, saying what did not happen. */
export async function until(what, condition, timeout = 10_000) {
  const start = Date.now()
  for (;;) {
    const value = await condition()
    if (value) return value
    if (Date.now() - start > timeout) throw new Error(`not within ${timeout} ms: ${what}`)
    await sleep(25)
  }
}

/** within fails if the promise has not settled after `timeout` ms. */
export async function within(what, promise, timeout = 10_000) {
  const abort = new AbortController()
  const late = sleep(timeout, null, abort).then(() => {
    throw new Error(`not within ${timeout} ms: ${what}`)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    abort.abort()
    late.catch(() => {})
  }
}
