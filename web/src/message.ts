// The messages of the session protocol (docs/gateway.md, 'Messages').

/** The data of a message: text, bytes, or a JSON value. */
export type Data = unknown

export type ClientMessage =
  | { op: 'hello'; password?: string | undefined }
  | { op: 'send'; seq: number; channel: string; data: Data; to?: string | string[]; meta?: unknown; progress?: true }
  | { op: 'ping'; id: number; peer?: string | undefined }
  | { op: 'pong'; id: number }
  | { op: 'leave' }

export interface Welcome {
  op: 'welcome'
  peer: string
  identity: 'session' | 'server'
  peers: { peer: string; type?: string }[]
  limits: { message: number }
}

export interface ErrorMessage {
  op: 'error'
  code: string
  message: string
  seq?: number
  id?: number
}

export type ServerMessage =
  | Welcome
  | ErrorMessage
  | { op: 'message'; channel: string; from: string; data: Data; meta?: unknown }
  | { op: 'ack'; seq: number }
  | { op: 'result'; seq: number; peer: string; error: string; message: string }
  | { op: 'progress'; peer: string; fraction: number; seq?: number; channel?: string; meta?: unknown }
  | { op: 'ping'; id: number }
  | { op: 'pong'; id: number; peer?: string; error?: string }
  | { op: 'peer'; event: 'join' | 'leave' | 'seen' | 'lost'; peer: string; type?: string }
