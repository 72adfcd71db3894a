// The messages of the session protocol (docs/gateway.md, 'Messages').

/** The data of a message: text, bytes, or a JSON value. */
export type Data = unknown

/** What the bytes of a transfer are. */
export type Kind = 'bytes' | 'text' | 'json'

export interface Hello {
  op: 'hello'
  password?: string | undefined
  token?: string | undefined
  resume?: string | undefined
  ack?: number | undefined
  history?: number | undefined
}

export type ClientMessage =
  | Hello
  | { op: 'send'; seq: number; channel: string; data: Data; to?: string[] | undefined; meta?: unknown; progress?: true | undefined }
  | { op: 'ack'; seq: number }
  | { op: 'ping'; id: number; peer?: string | undefined }
  | { op: 'pong'; id: number }
  | { op: 'leave' }
  | { op: 'mesh'; id: number }
  | GraphMessage
  | TransferMessage

/** What we ask of the room's graph. */
export type GraphMessage =
  | { op: 'put' | 'patch'; id: number; node: string; data: Data; expect?: unknown }
  | { op: 'remove' | 'get'; id: number; node: string; expect?: unknown }
  | { op: 'link'; id: number; node: string; target: string; expect?: unknown }
  | { op: 'watch'; id: number; prefix?: string | undefined; after?: number | undefined }
  | { op: 'unwatch'; id: number }

/** What we say of a transfer: with `from` as its recipient, without as its sender. */
export type TransferMessage =
  | { op: 'begin'; transfer: number; from?: string; offset: number }
  | { op: 'begin'; transfer: number; offset: number; channel: string; size: number; kind: Kind; to?: string[] | undefined; meta?: unknown }
  | { op: 'chunk'; transfer: number; offset: number; data: Uint8Array }
  | { op: 'ack'; transfer: number; from: string; offset: number }
  | { op: 'end'; transfer: number; from?: string; hash?: string }
  | { op: 'cancel'; transfer: number; from?: string; reason?: string }

export interface Welcome {
  op: 'welcome'
  peer: string
  mesh?: string
  identity: 'session' | 'server'
  resume: string
  resumed: boolean
  reason?: string
  ack: number
  peers: { peer: string; type?: string }[]
  limits: Limits
}

export interface Limits {
  /** Bytes of data and meta in one send; more goes as a transfer. */
  message: number
  /** Bytes of a transfer beyond what was acknowledged. */
  window: number
}

export interface ErrorMessage {
  op: 'error'
  code: string
  message: string
  seq?: number
  id?: number
  transfer?: number
  from?: string
}

export interface Arrival {
  op: 'message'
  seq: number
  channel: string
  from: string
  data: Data
  meta?: unknown
  history?: boolean
}

/** Somebody's payload is offered to us. */
export interface Offer {
  op: 'begin'
  transfer: number
  from: string
  channel: string
  size: number
  kind: Kind
  offset?: number
  meta?: unknown
}

/** What the server says of a transfer: with `from` about one that comes to us, without about ours. */
export type TransferReport =
  | Offer
  | { op: 'begin'; transfer: number; from?: undefined; offset: number }
  | { op: 'chunk'; transfer: number; from: string; offset: number; data: Data }
  | { op: 'ack'; transfer: number; offset: number }
  | { op: 'end'; transfer: number; from?: string; hash?: string }
  | { op: 'cancel'; transfer: number; from?: string; reason?: string }

export interface ResultMessage {
  op: 'result'
  seq?: number
  transfer?: number
  peer?: string
  error: string
  message: string
}

export interface ProgressMessage {
  op: 'progress'
  peer: string
  fraction: number
  seq?: number
  transfer?: number
  channel?: string
  meta?: unknown
}

/** A node, in an answer or as a watch tells it. */
export interface NodeMessage {
  op: 'node'
  id: number
  seq: number
  node: string
  data?: Data
  edges?: string[]
  timestamp?: { physical: number; logical: number }
  removed?: boolean
}

/** A watch has told all that there was. */
export interface WatchMessage {
  op: 'watch'
  id: number
  seq?: number
}

/** A connection without close codes of its own is about to be closed. */
export interface EndMessage {
  op: 'end'
  code: number
  reason?: string
}

interface Role {
  cellId: string
  isBridge: boolean
  bridges: string[]
}

/** Our place in the cells, of which nothing is told with epoch 0; or an answer about all peers. */
export type MeshMessage =
  | ({ op: 'mesh'; epoch: number; peer: string } & Partial<Role>)
  | { op: 'mesh'; id: number; roster: ({ peer: string } & Role)[]; more?: boolean }

export type ServerMessage =
  | Welcome
  | ErrorMessage
  | Arrival
  | { op: 'ack'; seq: number; transfer?: undefined }
  | ResultMessage
  | ProgressMessage
  | NodeMessage
  | WatchMessage
  | MeshMessage
  | { op: 'ping'; id: number }
  | { op: 'pong'; id: number; peer?: string; error?: string }
  | { op: 'peer'; event: 'join' | 'leave' | 'seen' | 'lost'; peer: string; type?: string }
  | TransferReport
