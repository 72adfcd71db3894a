import type { JoinOptions } from './client.ts'
import { toBase64 } from './codec-json.ts'

/** The token to greet the server with: a function is asked for it. Undefined without one, or when `signal` is aborted first. */
export async function tokenOf(token: JoinOptions['token'], signal: AbortSignal): Promise<string | undefined> {
  if (typeof token !== 'function') return token
  const asked = new AbortController() // ends the listening: the signal lives much longer
  const stopped = new Promise<undefined>((resolve) => signal.addEventListener('abort', () => resolve(undefined), { signal: asked.signal }))
  try {
    return await Promise.race([token(), stopped])
  } finally {
    asked.abort()
  }
}

/** The same as a header of HTTP (docs/gateway.md, 'Credentials'). */
export function authorizationOf(token: string | undefined, password: string | undefined): string | undefined {
  if (token !== undefined) return `Bearer ${token}`
  return password === undefined ? undefined : `Basic ${toBase64(new TextEncoder().encode(`:${password}`))}`
}
