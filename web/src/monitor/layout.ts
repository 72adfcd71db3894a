// Where the peers are drawn: forces hold cells together and apart from each other.

import { forceCollide, forceLink, forceManyBody, forceSimulation, forceX, forceY, type Force, type Simulation } from 'd3-force'
import { linkHealth, sessionHealth, type Health, type Link, type Peer, type Picture } from './picture.ts'

/** Node is a peer, or the middle of a cell, which nobody sees. */
export interface Node {
	id: string
	peer: Peer | null
	cell: number // -1: none
	radius: number
	x: number
	y: number
	vx: number
	vy: number
	fx?: number | null
	fy?: number | null
}

/**
 * Edge: link is one that the server has and measures, session a client's connection with it. cell and
 * bridge are links that other peers have by the roster, of which the server knows no more.
 */
export interface Edge {
	kind: 'link' | 'session' | 'cell' | 'bridge' | 'anchor'
	source: Node
	target: Node
	health: Health
	link?: Link
	distance: number
	strength: number
}

/** FEW peers have room, and their names beside them. */
export const FEW = 40

/** among has a force be between some of the nodes only. */
function among(which: (n: Node) => boolean, force: Force<Node, Edge>): Force<Node, Edge> {
	return Object.assign((alpha: number) => force(alpha), {
		initialize: (nodes: Node[], random: () => number) => force.initialize?.(nodes.filter(which), random),
	})
}

export class Layout {
	nodes: Node[] = []
	edges: Edge[] = []
	/** cells are the members of each, by number. */
	cells = new Map<number, Node[]>()
	readonly #byId = new Map<string, Node>()
	#shape = ''
	readonly #forces: Simulation<Node, Edge>
	readonly #links = forceLink<Node, Edge>([])
		.distance(e => e.distance)
		.strength(e => e.strength)

	constructor(moved: () => void) {
		const cells = (n: Node) => !n.peer
		const peers = (n: Node) => n.peer !== null
		this.#forces = forceSimulation<Node, Edge>([])
			.force('links', this.#links)
			.force('members', alpha => this.#gather(alpha))
			.force('cells', among(cells, forceManyBody<Node>().strength(-260)))
			.force('cells apart', among(cells, forceCollide<Node>(n => n.radius + 9).iterations(2)))
			.force('peers', among(peers, forceManyBody<Node>().strength(n => (n.cell >= 0 ? -16 : this.nodes.length < FEW ? -700 : -60)).distanceMax(500)))
			.force('peers apart', among(peers, forceCollide<Node>(n => n.radius + 2.5)))
			.force('x', forceX<Node>(0).strength(n => (n.cell < 0 || !n.peer ? 0.045 : 0)))
			.force('y', forceY<Node>(0).strength(n => (n.cell < 0 || !n.peer ? 0.09 : 0)))
			.velocityDecay(0.5)
			.on('tick', moved)
	}

	/** gather pulls members towards the middle of their cells. */
	#gather(alpha: number): void {
		for (const [cell, members] of this.cells) {
			const middle = this.#byId.get(`cell ${cell}`)!
			for (const m of members) {
				m.vx += (middle.x - m.x) * 0.22 * alpha
				m.vy += (middle.y - m.y) * 0.22 * alpha
			}
		}
	}

	/** show takes a picture. Who stays, stays where he is. */
	show(p: Picture): void {
		const byCells = p.cells !== undefined
		const before = new Map(this.#byId)
		this.#byId.clear()
		const node = (id: string, peer: Peer | null, cell: number): Node => {
			const known = before.get(id)
			const near = this.#byId.get(`cell ${cell}`) ?? before.get(`cell ${cell}`)
			const turn = Math.random() * 2 * Math.PI
			const far = near || !byCells ? 30 : 30 * Math.sqrt(p.peers.length)
			const n = known ?? { id, peer, cell, radius: 0, x: (near?.x ?? 0) + far * Math.cos(turn), y: (near?.y ?? 0) + far * Math.sin(turn), vx: 0, vy: 0 }
			n.peer = peer
			n.cell = cell
			n.radius = !peer ? n.radius : peer.kind === 'server' ? 10 : peer.bridge ? 7 : p.peers.length < FEW || byCells ? 6.5 : 5
			this.#byId.set(id, n)
			return n
		}
		this.cells = new Map((p.cells?.list ?? []).map(c => [c.cell, []]))
		for (const cell of this.cells.keys()) node(`cell ${cell}`, null, cell)
		const peers = p.peers.map(peer => {
			const n = node(peer.peer, peer, peer.cell ?? -1)
			this.cells.get(n.cell)?.push(n)
			return n
		})
		this.nodes = [...this.#byId.values()]
		this.edges = this.#connect(p, peers, byCells)

		const shape = this.nodes.map(n => `${n.id} ${n.cell}`).join() + this.edges.length
		if (shape === this.#shape) {
			this.#links.links(this.edges)
			return
		}
		this.#shape = shape
		this.#forces.nodes(this.nodes)
		this.#links.links(this.edges)
		this.#forces.alpha(before.size === 0 ? 1 : 0.35).restart()
		if (before.size === 0 || matchMedia('(prefers-reduced-motion: reduce)').matches) this.#forces.tick(120)
	}

	#connect(p: Picture, peers: Node[], byCells: boolean): Edge[] {
		const edges: Edge[] = []
		const add = (kind: Edge['kind'], source: Node, target: Node, distance: number, strength: number, health: Health = 'good', link?: Link) =>
			edges.push({ kind, source, target, distance, strength, health, link })
		const few = peers.length < FEW
		const near = few ? 130 : 60
		const server = peers[0]!
		for (const n of peers) {
			const session = n.peer!.session
			if (session) add('session', server, n, near, byCells && n.cell >= 0 ? 0 : few ? 0.4 : 0.12, sessionHealth(session))
		}
		for (const l of p.links) {
			const a = peers[l.hosted]!
			const b = peers[l.remote]!
			const held = byCells && a.cell !== b.cell ? 0 : Math.min(0.3, 8 / p.links.length)
			add('link', a, b, near, held, linkHealth(l), l)
		}
		const known = new Set(edges.map(e => `${e.source.id} ${e.target.id}`))
		for (const [cell, members] of this.cells) {
			const middle = this.#byId.get(`cell ${cell}`)!
			middle.radius = 16 + 9 * Math.sqrt(members.length)
			if (members.length > 40) continue // nothing would be seen
			members.forEach((a, i) => {
				for (const b of members.slice(i + 1)) {
					const ours = !a.peer!.remote && !b.peer!.remote
					if (!ours && !known.has(`${a.id} ${b.id}`) && !known.has(`${b.id} ${a.id}`)) add('cell', a, b, 0, 0)
				}
			})
		}
		for (const c of p.cells?.list ?? []) {
			for (const up of c.up ?? []) {
				const [middle, other] = [this.#byId.get(`cell ${c.cell}`), this.#byId.get(`cell ${up}`)]
				if (middle && other) add('anchor', middle, other, middle.radius + other.radius + 30, up === c.cell + 1 ? 0.2 : 0.01)
				const [a, b] = [this.#byId.get(c.bridge), this.#byId.get(p.cells!.list.find(o => o.cell === up)?.bridge ?? '')]
				if (a && b) add('bridge', a, b, 0, 0)
			}
		}
		return edges
	}

	/** at returns the peer that is drawn nearest, if it is near. */
	at(x: number, y: number, within: number): Node | null {
		let found: Node | null = null
		for (const n of this.nodes) {
			const d = Math.hypot(n.x - x, n.y - y) - n.radius
			if (n.peer && d < within) [found, within] = [n, d]
		}
		return found
	}

	/** hold has a peer be drawn at a place, until it is let go. */
	hold(n: Node, x: number, y: number): void {
		n.fx = x
		n.fy = y
		this.#forces.alphaTarget(0.15).restart()
	}

	letGo(n: Node): void {
		n.fx = n.fy = null
		this.#forces.alphaTarget(0)
	}
}
