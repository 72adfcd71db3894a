import { Failure } from './error.ts'

const schemes: Record<string, string> = { 'http:': 'ws:', 'https:': 'wss:', 'ws:': 'ws:', 'wss:': 'wss:' }

/** The WebSocket address of a room (docs/gateway.md, 'Connecting'). */
export function roomAddress(base: string | URL | null, room: string): URL {
  // The handler's folder is also the one that serves this module.
  const module = new URL('.', import.meta.url)
  let url: URL
  try {
    url = new URL(base ?? module, globalThis.location?.href ?? module)
  } catch {
    throw new Failure('bad_url', `${base} is not an address`)
  }
  const scheme = schemes[url.protocol]
  if (!scheme) throw new Failure('bad_url', `${url} is not one of http, https, ws or wss`)
  // Assigning to url.protocol is ignored between some schemes, so the address is built anew.
  return new URL(`${scheme}//${url.host}${url.pathname.replace(/\/$/, '')}/rooms/${encodeURIComponent(room)}/ws`)
}

/** Where an offer of WebRTC for the same room is posted. */
export function offerAddress(address: URL): URL {
  return new URL(httpAddress(address).replace(/ws$/, 'whip'))
}

/** The same place over HTTP, where a refusal can be read. */
export function httpAddress(address: URL): string {
  return address.href.replace(/^ws/, 'http')
}
