// The JavaScript client of the GenosRTC session protocol, version 1.
//
//     import { join } from '/genosrtc/client.js'
//     const room = await join('/genosrtc', 'demo')
//     const chat = room.channel('chat')
//     chat.on('message', (data, peerId) => console.log(peerId, data))
//     await chat.send({ text: 'hello' })
//
// The calls are those of GenosDB's `db.room`. This file is the whole public face; it
// imports no types, so that its declarations stand alone.

import { roomAddress } from './address.ts'
import { JoinedRoom } from './room.ts'

/** Options of {@link join}. */
export interface JoinOptions {
  /** The room's password, where it has one. */
  password?: string
  /** The encoding on the wire. `msgpack` (default) carries bytes as they are; `json` can be read in the browser's network panel. */
  protocol?: 'msgpack' | 'json'
  /** How long to try for the first connection, in milliseconds. Default 10,000. */
  timeout?: number
}

/** What went wrong: `code` is stable, `message` is for people. */
export interface RoomError extends Error {
  /**
   * A code of the session protocol (docs/gateway.md, 'error'), or one of the client's own:
   * - `bad_url`: the address is not one of http, https, ws or wss
   * - `timeout`: the server was not reached in time, or a ping was not answered
   * - `not_found`: the server has no room of that name
   * - `forbidden`: the server refuses pages of this origin
   * - `refused`: the server ended the session for good
   * - `disconnected`: a ping was wanted without a connection, or the connection was lost under it
   * - `queue_full`: more than 16 MiB of sends would wait for acknowledgement
   * - `left`: the room was left
   */
  readonly code: string
}

/** A peer that you are connected to. */
export interface Peer {
  /** What it declares about itself: `superpeer` for a server, `session` for a client like this one, undefined for a browser. It proves nothing. */
  type?: string
}

/** A send that did not reach one of its recipients; all others are unaffected. */
export interface Undelivered {
  /** The recipient. */
  peer: string
  /** `too_large`, `unknown_peer`, `slow` or `gone`, see docs/gateway.md. */
  error: string
  /** The same for people. */
  message: string
  /** The channel of the send; undefined if the client no longer remembers it. */
  channel?: string
  /** The meta of the send; undefined if it had none or the client no longer remembers it. */
  meta?: unknown
}

/** The end of a connection. */
export interface Closing {
  /** The WebSocket's close code, 1006 where the connection was lost without one. */
  code: number
  /** The server's reason, for people; may be empty. */
  reason: string
  /** Whether this is the end of the room. If not, the client is reconnecting. */
  final: boolean
  /** Why the room has ended, if it was not left. */
  error?: RoomError
}

/** The events of a room with the arguments that their listeners get. */
export interface RoomEvents {
  /** You are connected with that peer now: messages pass. */
  'peer:join': [peerId: string, type?: string]
  /** You are no longer. */
  'peer:leave': [peerId: string, type?: string]
  /** The peer has announced itself; you may not be connected yet. Repeats. */
  'peer:seen': [peerId: string, type?: string]
  /** The peer has said goodbye. */
  'peer:lost': [peerId: string, type?: string]
  /** A send did not reach one of its recipients. */
  result: [undelivered: Undelivered]
  /** The room is connected again, under the new peer id. The first connection is {@link join} itself. */
  open: [peerId: string]
  /** The connection ended. `peer:leave` follows for every peer. Comes again, as final, if the server refuses our return. */
  close: [closing: Closing]
  /** The server complained about something that is no send. */
  error: [error: RoomError]
}

/** The events of a channel with the arguments that their listeners get. */
export interface ChannelEvents {
  /** A message has arrived. Bytes are a Uint8Array. */
  message: [data: any, peerId: string, meta: any]
  /** A message of several frames is arriving; `fraction` rises to 1. */
  progress: [fraction: number, peerId: string, meta: any]
}

/** How far a send has come to one recipient; `fraction` rises to 1. */
export type OnProgress = (fraction: number, peerId: string, meta: any) => void

/** A named stream of messages in a room. */
export interface Channel {
  readonly name: string
  /**
   * Sends one message to `targets`: a peer id, an array of them, or null for everybody.
   *
   * `data` is a string, bytes (ArrayBuffer, typed array, DataView, Blob), or any value that JSON
   * can say; bytes may be the whole of it, not a part of it. It is read before `send` returns, a
   * Blob soon after. `meta` is a JSON value that travels beside the data; browsers accept it only
   * beside bytes.
   *
   * The promise resolves when the server has acknowledged the message, and rejects with a
   * {@link RoomError} when the message was refused. A recipient that it could not reach is
   * reported by the room's `result` event, later.
   *
   * Messages that were not acknowledged when the connection was lost are sent again in the next
   * session; if the server had taken them before, they arrive twice.
   */
  send(data: unknown, targets?: string | string[] | null, meta?: unknown, onProgress?: OnProgress): Promise<void>
  on<E extends keyof ChannelEvents>(event: E, listener: (...args: ChannelEvents[E]) => void): void
  off<E extends keyof ChannelEvents>(event: E, listener: (...args: ChannelEvents[E]) => void): void
}

/** A room that was joined. It reconnects by itself until it is left or the server refuses it for good. */
export interface Room {
  /** The name that was given to {@link join}. */
  readonly name: string
  /** Your peer id. Each connection has a new one. */
  readonly id: string
  /** The same as {@link id}. */
  readonly selfId: string
  /** `session`: browsers see you under {@link id}. `server`: browsers see the server's peer in your place. */
  readonly identity: 'session' | 'server'
  /** The channel of that name. Throws if the name is not 1 to 12 bytes of UTF-8, or begins with `@_`. */
  channel(name: string): Channel
  /**
   * Listens to an event. Listeners that are added in the same turn in which {@link join} resolved
   * miss nothing: `peer:join` fires for every peer that is here already. A listener that throws
   * is reported and disturbs no other.
   */
  on<E extends keyof RoomEvents>(event: E, listener: (...args: RoomEvents[E]) => void): void
  off<E extends keyof RoomEvents>(event: E, listener: (...args: RoomEvents[E]) => void): void
  /** The peers that you are connected to now, by peer id. Empty while reconnecting. */
  getPeers(): Record<string, Peer>
  /** The round trip to a peer, or without one to the server, in milliseconds. Rejects with a {@link RoomError}. */
  ping(peerId?: string): Promise<number>
  /** Leaves the room. Resolves when the connection has ended; sends before it are still acknowledged where the server answers within 2 s, and otherwise rejected. */
  leave(): Promise<void>
}

/**
 * Joins a room and resolves when the server has welcomed us.
 *
 * `url` is where the server's handler is mounted: `https://host/genosrtc`, `wss://host/genosrtc`,
 * or relative to the page, `/genosrtc`. Null means the folder that this module was loaded from.
 * `room` is the database name that a GenosDB application passes to `gdb(name)`.
 *
 * Rejects with a {@link RoomError}: at once if the server refuses for good (wrong password, no
 * such room), else when `options.timeout` has passed.
 */
export function join(url: string | URL | null, room: string, options: JoinOptions = {}): Promise<Room> {
  return new Promise((resolve, reject) => {
    new JoinedRoom(roomAddress(url, room), room, options, resolve, reject)
  })
}
