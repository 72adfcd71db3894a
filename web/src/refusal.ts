import { httpAddress } from './address.ts'
import { Failure } from './error.ts'

/** Why a connection was not opened, as far as the server tells. */
export interface Refusal {
  /** Set if another try is pointless. */
  error?: Failure
  /** For people. */
  text: string
  /** The server's wish not to be asked again for so long, in milliseconds. */
  wait: number
}

/**
 * Asks over HTTP: browsers hide from scripts with which status a WebSocket was refused
 * (docs/gateway.md, 'Connecting'). Status 426 means that the WebSocket would be welcome.
 */
export async function refusal(address: URL, signal: AbortSignal): Promise<Refusal> {
  let response: Response
  try {
    const limits = AbortSignal.any([signal, AbortSignal.timeout(5_000)])
    response = await fetch(httpAddress(address), { cache: 'no-store', signal: limits })
  } catch {
    return { text: 'the server cannot be reached', wait: 0 }
  }
  return judge(response)
}

/** What an answer means that is none. */
export async function judge(response: Response): Promise<Refusal> {
  const problem = await response.json().catch(() => ({})) // RFC 9457
  const text = String(problem?.detail ?? problem?.title ?? `HTTP status ${response.status}`)
  const wait = Math.min(Number(response.headers.get('Retry-After')) * 1000 || 0, 60_000)
  if (response.status === 404) return { error: new Failure('not_found', text), text, wait }
  const code = response.status === 401 && problem?.code
  if (code && code !== 'token_expired') return { error: new Failure(String(code), text), text, wait }
  if (response.status === 403) return { error: new Failure('forbidden', text), text, wait }
  if (response.status === 426) return { text: 'the server answers HTTP, but no WebSocket came through', wait }
  return { text, wait }
}
