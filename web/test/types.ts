// Compiled, not run: the committed declarations stand alone and say what an application needs.

import { gdb, join, type Room, type RoomError, type Undelivered } from '../dist/client.js'

export async function application(): Promise<void> {
  const room: Room = await join('/genosrtc', 'demo', {
    password: 'secret',
    protocol: 'json',
    transport: 'websocket',
    timeout: 5_000,
    history: 100,
    persist: true,
  })
  room.on('peer:join', (peerId, type) => console.log(peerId.length, type?.length, room.getPeers()[peerId]?.type))
  room.on('result', ({ peer, error, meta }: Undelivered) => console.log(peer, error, meta))
  // @ts-expect-error: without peer when the server was started anew
  room.on('result', ({ peer }) => console.log(peer.length))
  room.on('session:lost', (reason) => console.log(reason.length, room.meshId))
  room.on('state', (state) => {
    if (state.status === 'reconnecting') console.log(state.attempt, state.next?.toFixed(), state.reason)
    else if (state.status === 'closed') console.log(state.error.code)
    else if (state.status === 'open') console.log(state.transport === 'webrtc')
    else console.log(room.state.status)
  })
  room.on('close', ({ final, error }) => console.log(final, error?.code))

  const file = room.channel('file')
  file.on('message', (data: Uint8Array, peerId, meta: { name: string }) => console.log(data.length, peerId, meta.name))
  file.on('progress', (fraction, peerId) => console.log(fraction.toFixed(2), peerId))
  await file.send(new Blob([]), ['a', 'b'], { name: 'a.bin' }, (fraction, peerId) => console.log(fraction, peerId))
  await file.send(new Blob([]), { to: 'a', meta: 1, signal: AbortSignal.timeout(1000), progress: (fraction) => console.log(fraction) })
  file.on('transfer', async (transfer) => {
    if (transfer.size > 2 ** 30) return transfer.cancel('too large')
    transfer.signal.addEventListener('abort', () => console.log(transfer.signal.reason))
    for await (const bytes of transfer.stream() as unknown as AsyncIterable<Uint8Array>) console.log(bytes.length, transfer.meta)
  })
  await room
    .channel('chat')
    .send('hi', 'a')
    .catch((error: RoomError) => console.log(error.code))

  // @ts-expect-error: there is no such event
  room.on('stream:add', () => {})
  // @ts-expect-error: the room's name is missing
  await join('/genosrtc')

  const db = await gdb('demo', { rtc: { relayUrls: ['wss://relay.example'] }, url: '/genosrtc', password: 'secret' })
  console.log(db.selfId, db.room.getPeers())
  const id: string = await db.put({ type: 'todo' })
  const { results, unsubscribe } = await db.map({ query: { type: 'todo' } }, ({ id, value, action }) => console.log(id, value, action))
  console.log((await db.get(id)).result?.value, results[0]?.edges, unsubscribe?.())
  await db.link(id, results[0]!.id)
  await db.remove(id)

  const node = await room.graph.put({ celsius: 21 }, 'sensor-1', { expect: 'absent' })
  await room.graph.patch({ celsius: 22 }, node.id, { expect: node.timestamp })
  const watch = room.graph.watch({ prefix: 'sensor-', after: 0 }, ({ id, value, removed, seq }) => console.log(id, value, removed, seq))
  console.log((await watch.ready).toFixed(), (await room.graph.get('x'))?.value)
  watch.unsubscribe()

  const unlisten: () => void = room.mesh.on('message', (data: { text: string }, peerId) => console.log(data.text, peerId))
  await room.mesh.send({ text: 'hi' }, 'a')
  room.on('mesh:state', (state) => console.log(state?.cellId, state?.bridges.length))
  room.on('mesh:peer-state', ({ id, cell, isBridge }) => console.log(id, cell, isBridge))
  console.log(room.mesh.getState()?.dynamicTTL, (await room.mesh.getPeerInfo()).get('a')?.cell, await room.mesh.getStableRoster())
  unlisten()
  console.log(await room.ping(), await room.ping('a'))
  await room.leave()
}
