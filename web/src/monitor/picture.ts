// What the server tells of a room: docs/gateway.md, "The monitor".

export interface Picture {
	room: string
	time: number
	opened: number
	totals: { peers: number; sessions: number; links: number; transfers: number }
	traffic: { messages: number; messageBytes: number; transferBytes: number; linkIn: number; linkOut: number }
	roundTrip?: { median: number; p95: number }
	cells?: { totalPeers: number; cellSize: number; totalCells: number; knownCells: number; cellId: string; mixed?: boolean; list: Cell[] }
	peers: Peer[]
	links: Link[]
	transfers: Transfer[]
	relays: { relay: string; state: string; since: number }[]
}

export interface Cell {
	cell: number
	peers: number
	bridge: string
	up?: number[]
}

export interface Peer {
	peer: string
	kind: 'server' | 'session' | 'browser'
	remote?: boolean
	links?: number
	cell?: number
	bridge?: boolean
	session?: Session
}

export interface Session {
	identity: string
	connected: boolean
	roundTrip?: number
	waiting?: number
	underWay?: number
}

export interface Link {
	hosted: number
	remote: number
	open: boolean
	age?: number
	silence?: number
	roundTrip?: number
	waiting?: number
	underWay?: number
	sent?: number
}

export interface Transfer {
	transfer: number
	from: string
	channel: string
	size: number
	done: number
	recipients: number
}

export type Health = 'good' | 'slow' | 'bad' | 'away'

const SLOW_TRIP = 300 // ms
const SLOW_WAITING = 64 << 10 // bytes: more waits than the other end takes
const BAD_SILENCE = 16_000 // ms: the server asked after 10 s, and got no answer

/** linkHealth: away is a link that is opening. */
export function linkHealth(link: Link): Health {
	if (!link.open) return 'away'
	if ((link.silence ?? 0) > BAD_SILENCE) return 'bad'
	return (link.roundTrip ?? 0) > SLOW_TRIP || (link.waiting ?? 0) > SLOW_WAITING ? 'slow' : 'good'
}

/** sessionHealth: away is one that waits for its client to come back. */
export function sessionHealth(session: Session): Health {
	if (!session.connected) return 'away'
	return (session.roundTrip ?? 0) > SLOW_TRIP || (session.waiting ?? 0) > SLOW_WAITING ? 'slow' : 'good'
}

/** Rates are what happened in each second between two pictures. */
export interface Rates {
	messages: number
	messageBytes: number
	transferBytes: number
	linkIn: number
	linkOut: number
}

export function rates(before: Picture, now: Picture): Rates | null {
	const seconds = (now.time - before.time) / 1000
	if (seconds <= 0 || now.opened !== before.opened || now.room !== before.room) return null
	const rate = (name: keyof Rates) => (now.traffic[name] - before.traffic[name]) / seconds
	return {
		messages: rate('messages'),
		messageBytes: rate('messageBytes'),
		transferBytes: rate('transferBytes'),
		linkIn: rate('linkIn'),
		linkOut: rate('linkOut'),
	}
}
