import { WebSocket } from 'ws'
import { TestServer } from './server.js'

// What a browser has and Node 20 does not.
globalThis.WebSocket ??= WebSocket

export const { gdb, join } = await import('../dist/client.js')

/** Starts a server and joins it; everything ends with the test. */
export async function setUp(t, options = {}) {
  const server = await startServer(t)
  server.addPeer('superpeer')
  const enter = async (more = {}, name = 'demo') => {
    const room = await join(server.url, name, { ...options, ...more })
    t.after(() => room.leave())
    return room
  }
  return { server, join: enter, room: await enter() }
}

export async function startServer(t) {
  const server = await TestServer.start()
  t.after(() => server.close())
  return server
}

/** The arguments of the next event, as an array. */
export function next(emitter, event, wanted = () => true) {
  return new Promise((resolve) => {
    emitter.on(event, function listener(...args) {
      if (!wanted(...args)) return
      emitter.off(event, listener)
      resolve(args)
    })
  })
}

/** Waits until a condition holds. */
export async function until(condition, what = String(condition), timeout = 5_000) {
  const deadline = performance.now() + timeout
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`never came true: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
