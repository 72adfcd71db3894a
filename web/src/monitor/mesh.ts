// The picture of the mesh: cells as coloured groups, peers by kind, links by kind and health.

import { FEW, Layout, type Edge, type Node } from './layout.ts'
import { linkHealth, sessionHealth, type Health, type Picture } from './picture.ts'
import { bytes, count, duration, trip } from './text.ts'
import { cellColour, colour, onTheme } from './theme.ts'

const HEALTH: Record<Health, string> = { good: 'good', slow: 'slow', bad: 'bad', away: 'faint' }
const MARGIN = 28

export class Mesh {
	readonly #canvas: HTMLCanvasElement
	readonly #context: CanvasRenderingContext2D
	readonly #empty: HTMLElement
	readonly #tip: HTMLElement
	readonly #layout = new Layout(() => this.#soon())
	#picture: Picture | null = null
	#room = ''
	#pending = false
	#hovered: Node | null = null
	#held: Node | null = null
	// What is seen of the plane: its middle, and how many pixels a unit has.
	#view = { x: 0, y: 0, scale: 0 }

	readonly #section: HTMLElement

	constructor(section: HTMLElement) {
		this.#section = section
		this.#canvas = section.querySelector('canvas')!
		this.#context = this.#canvas.getContext('2d')!
		this.#empty = section.querySelector('.empty')!
		this.#tip = section.querySelector('.tip')!
		legend(section.querySelector('.legend')!)
		new ResizeObserver(() => {
			this.#view.scale = 0
			this.#soon()
		}).observe(this.#canvas)
		onTheme(() => this.#soon())
		this.#listen()
	}

	show(p: Picture): void {
		if (p.room !== this.#room) [this.#room, this.#view.scale] = [p.room, 0]
		this.#picture = p
		this.#layout.show(p)
		if (this.#hovered && !this.#layout.nodes.includes(this.#hovered)) this.#hovered = null
		const nodes = this.#layout.nodes.filter(n => n.peer).length
		const { peers, links } = p.totals
		this.#canvas.setAttribute('aria-label', `The mesh of ${peers} peers, of which the server has ${links} links. The lists below tell the same.`)
		Object.assign(this.#canvas.dataset, { nodes, edges: this.#layout.edges.filter(e => e.kind !== 'anchor').length })
		this.#empty.hidden = peers > 1
		this.#empty.textContent = `Nobody but the server is in “${p.room}”. Open a page with gdb('${p.room}', { rtc: true }) that uses this server's relay, or connect a client.`
		this.#section.toggleAttribute('data-cells', p.cells !== undefined)
		this.#soon()
	}

	#soon(): void {
		if (this.#pending) return
		this.#pending = true
		requestAnimationFrame(() => {
			this.#pending = false
			this.#draw()
		})
	}

	/** fit moves the view towards one that has everybody in it. */
	#fit(width: number, height: number): void {
		let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity]
		for (const n of this.#layout.nodes) {
			const round = n.peer ? n.radius : n.radius + 12 // the ground of a cell
			left = Math.min(left, n.x - round)
			right = Math.max(right, n.x + round)
			top = Math.min(top, n.y - round)
			bottom = Math.max(bottom, n.y + round)
		}
		if (left > right) return
		const scale = Math.min(1.8, (width - 2 * MARGIN) / (right - left), (height - 2 * MARGIN) / (bottom - top))
		const to = { x: (left + right) / 2, y: (top + bottom) / 2, scale }
		const v = this.#view
		const part = v.scale === 0 ? 1 : 0.15
		v.x += (to.x - v.x) * part
		v.y += (to.y - v.y) * part
		v.scale += (to.scale - v.scale) * part
		if (Math.abs(to.scale / v.scale - 1) > 0.005 || Math.hypot(to.x - v.x, to.y - v.y) * v.scale > 1) this.#soon()
	}

	#draw(): void {
		const canvas = this.#canvas
		const ratio = devicePixelRatio || 1
		const [width, height] = [canvas.clientWidth, canvas.clientHeight]
		if (width === 0 || !this.#picture) return
		if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
			canvas.width = Math.round(width * ratio)
			canvas.height = Math.round(height * ratio)
		}
		if (!this.#held) this.#fit(width, height)
		const { x, y, scale } = this.#view
		const c = this.#context
		c.setTransform(ratio, 0, 0, ratio, 0, 0)
		c.clearRect(0, 0, width, height)
		c.translate(width / 2, height / 2)
		c.scale(scale, scale)
		c.translate(-x, -y)
		for (const [cell, members] of this.#layout.cells) this.#cell(cell, members)
		const crowd = Math.max(1, this.#layout.edges.filter(e => e.kind === 'link' || e.kind === 'session').length / 80)
		for (const kind of ['cell', 'session', 'bridge', 'link'] as const) {
			for (const e of this.#layout.edges) if (e.kind === kind) this.#edge(e, scale, crowd)
		}
		for (const n of this.#layout.nodes) if (n.peer) this.#node(n, scale)
		c.globalAlpha = 1
		if (this.#hovered) this.#tell(this.#hovered)
		else this.#tip.hidden = true
	}

	/** cell colours the ground of a cell. */
	#cell(cell: number, members: Node[]): void {
		if (members.length === 0) return
		const c = this.#context
		const [x, y] = [mean(members.map(m => m.x)), mean(members.map(m => m.y))]
		const radius = Math.max(...members.map(m => Math.hypot(m.x - x, m.y - y))) + 13
		const ground = c.createRadialGradient(x, y, 0, x, y, radius)
		ground.addColorStop(0, cellColour(cell, 0.22))
		ground.addColorStop(1, cellColour(cell, 0.07))
		c.globalAlpha = 1
		c.fillStyle = ground
		c.strokeStyle = cellColour(cell, 0.4)
		c.lineWidth = 1
		c.beginPath()
		c.arc(x, y, radius, 0, 2 * Math.PI)
		c.fill()
		c.stroke()
	}

	#edge(e: Edge, scale: number, crowd: number): void {
		const c = this.#context
		const near = this.#hovered && (e.source === this.#hovered || e.target === this.#hovered)
		const thin = 1 / Math.max(scale, 0.4)
		c.setLineDash([])
		switch (e.kind) {
			case 'cell':
				c.strokeStyle = cellColour(e.source.cell)
				c.globalAlpha = near ? 0.7 : 0.13
				c.lineWidth = 0.8
				break
			case 'bridge':
				c.strokeStyle = colour('bridge')
				c.globalAlpha = near ? 1 : 0.3
				c.lineWidth = 1.2
				break
			case 'session':
				c.strokeStyle = colour(e.health === 'good' ? 'session' : HEALTH[e.health])
				c.globalAlpha = near ? 1 : Math.max(0.12, 0.6 / crowd)
				c.lineWidth = thin
				if (e.health === 'away') c.setLineDash([3, 4])
				break
			default:
				c.strokeStyle = colour(HEALTH[e.health])
				c.globalAlpha = near || e.health !== 'good' ? 0.95 : Math.max(0.25, 0.85 / crowd)
				c.lineWidth = (near ? 2.2 : 1.5) * thin
				if (e.health === 'away') c.setLineDash([3, 4])
		}
		c.beginPath()
		c.moveTo(e.source.x, e.source.y)
		c.lineTo(e.target.x, e.target.y)
		c.stroke()
		c.setLineDash([])
	}

	#node(n: Node, scale: number): void {
		const c = this.#context
		const peer = n.peer!
		const away = peer.session && !peer.session.connected
		c.globalAlpha = away ? 0.45 : 1
		c.fillStyle = peer.kind === 'server' ? colour('server') : n.cell >= 0 ? cellColour(n.cell) : colour(peer.kind)
		c.strokeStyle = colour('card')
		c.lineWidth = 1.5
		c.beginPath()
		if (peer.kind === 'server') polygon(c, n, 6)
		else if (peer.kind === 'session') c.rect(n.x - n.radius * 0.85, n.y - n.radius * 0.85, n.radius * 1.7, n.radius * 1.7)
		else c.arc(n.x, n.y, n.radius, 0, 2 * Math.PI)
		c.fill()
		c.stroke()
		if (peer.bridge || n === this.#hovered) {
			c.strokeStyle = n === this.#hovered ? colour('ink') : colour('bridge')
			c.lineWidth = 1.8
			c.beginPath()
			c.arc(n.x, n.y, n.radius + 2.8, 0, 2 * Math.PI)
			c.stroke()
		}
		if (this.#picture!.peers.length < FEW) {
			c.fillStyle = colour('soft')
			c.globalAlpha = 1
			c.font = `${11 / scale}px system-ui, sans-serif`
			c.textAlign = 'center'
			c.fillText(peer.kind === 'server' && !peer.remote ? 'this server' : peer.peer.slice(0, 6), n.x, n.y + n.radius + 14 / scale)
		}
	}

	#tell(n: Node): void {
		const peer = n.peer!
		const p = this.#picture!
		const lines = [peer.kind === 'server' ? (peer.remote ? 'another server' : 'this server') : `${peer.kind}${peer.remote && peer.kind === 'session' ? ' of another server' : ''}`]
		if (n.cell >= 0) lines.push(`cell ${n.cell}${peer.bridge ? ', its bridge' : ''}`)
		if (peer.session) {
			const s = peer.session
			lines.push(sessionHealth(s) === 'away' ? 'waits for its client' : `connected${s.roundTrip ? `, ${trip(s.roundTrip)}` : ''}`)
			if (s.waiting) lines.push(`${bytes(s.waiting)} wait for it`)
		}
		const links = p.links.filter(l => p.peers[l.hosted]!.peer === n.id || p.peers[l.remote]!.peer === n.id)
		if (links.length === 1) {
			const l = links[0]!
			const health = linkHealth(l)
			lines.push(health === 'away' ? 'its link is opening' : `linked for ${duration(l.age ?? 0)}${l.roundTrip ? `, ${trip(l.roundTrip)}` : ''}`)
			if (health === 'bad') lines.push(`silent for ${duration(l.silence ?? 0)}`)
		} else if (links.length > 1) lines.push(`${count(links.length)} links with this server`)
		else if (peer.remote) lines.push('heard of, not linked with this server')
		const title = document.createElement('b')
		title.textContent = n.id
		this.#tip.replaceChildren(title, `\n${lines.join('\n')}`)
		this.#tip.hidden = false
		const { x, y, scale } = this.#view
		const [width, height] = [this.#canvas.clientWidth, this.#canvas.clientHeight]
		const [left, top] = [(n.x - x) * scale + width / 2, (n.y - y) * scale + height / 2]
		const box = this.#tip
		box.style.left = `${Math.max(4, Math.min(left + 14, width - box.offsetWidth - 4))}px`
		box.style.top = `${Math.max(4, Math.min(top + 14, height - box.offsetHeight - 4))}px`
	}

	#listen(): void {
		const canvas = this.#canvas
		const place = (e: PointerEvent) => {
			const box = canvas.getBoundingClientRect()
			const { x, y, scale } = this.#view
			return { x: (e.clientX - box.left - box.width / 2) / scale + x, y: (e.clientY - box.top - box.height / 2) / scale + y }
		}
		canvas.addEventListener('pointermove', e => {
			const at = place(e)
			if (this.#held) this.#layout.hold(this.#held, at.x, at.y)
			else this.#hovered = this.#layout.at(at.x, at.y, 12 / this.#view.scale)
			canvas.style.cursor = this.#hovered ? 'pointer' : ''
			this.#soon()
		})
		canvas.addEventListener('pointerdown', e => {
			const at = place(e)
			this.#hovered = this.#layout.at(at.x, at.y, (e.pointerType === 'mouse' ? 12 : 24) / this.#view.scale)
			if (this.#hovered && e.pointerType === 'mouse') {
				this.#held = this.#hovered
				canvas.setPointerCapture(e.pointerId)
			}
			this.#soon()
		})
		const up = () => {
			if (this.#held) this.#layout.letGo(this.#held)
			this.#held = null
		}
		canvas.addEventListener('pointerup', up)
		canvas.addEventListener('pointercancel', up)
		canvas.addEventListener('pointerleave', e => {
			if (e.pointerType !== 'mouse' || this.#held) return
			this.#hovered = null
			this.#soon()
		})
	}
}

const mean = (values: number[]): number => values.reduce((a, b) => a + b, 0) / values.length

function polygon(c: CanvasRenderingContext2D, n: Node, corners: number): void {
	for (let i = 0; i < corners; i++) {
		const turn = (2 * Math.PI * (i + 0.5)) / corners
		c.lineTo(n.x + n.radius * Math.cos(turn), n.y + n.radius * Math.sin(turn))
	}
	c.closePath()
}

function legend(list: HTMLElement): void {
	const line = 'M0 8h22'
	const signs: [string, string, string][] = [
		['M11 1 17.5 4.5v7L11 15 4.5 11.5v-7z', 'solid server', 'server'],
		['M6 3h10v10H6z', 'solid session', 'session'],
		[circle(5.5), 'solid browser', 'browser'],
		[circle(6), 'bridge of-cells', 'bridge of a cell'],
		[line, 'good', 'link'],
		[line, 'slow', 'slow'],
		[line, 'bad', 'silent'],
		[line, 'dashed away', 'opening, or away'],
		[line, 'thin session', "client's connection"],
		[line, 'thin bridge of-cells', 'between cells, by the roster'],
	]
	const space = 'http://www.w3.org/2000/svg'
	for (const [shape, kind, name] of signs) {
		const svg = document.createElementNS(space, 'svg')
		svg.setAttribute('viewBox', '0 0 22 16')
		const path = svg.appendChild(document.createElementNS(space, 'path'))
		path.setAttribute('d', shape)
		path.setAttribute('class', kind)
		const item = document.createElement('li')
		if (kind.endsWith('of-cells')) item.className = 'of-cells'
		item.append(svg, name)
		list.append(item)
	}
}

const circle = (r: number): string => `M${11 - r} 8a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`
