// The lists below the mesh. Rows are kept and filled anew, so that nothing flickers.

import { linkHealth, sessionHealth, type Health, type Picture } from './picture.ts'
import { bytes, duration, short, trip } from './text.ts'

const MOST = 60 // rows of a list

interface Cell {
	text: string
	title?: string
	kind?: 'id' | 'number' | 'progress' | 'state'
	value?: number // of progress, from 0 to 1
}

interface Row {
	health?: Health
	cells: Cell[]
}

class List {
	readonly #small: HTMLElement
	readonly #scroll: HTMLElement
	#body: HTMLTableSectionElement | null = null

	constructor(
		id: string,
		private readonly heads: Cell[],
		private readonly none: string,
	) {
		const section = document.getElementById(id)!
		this.#small = section.querySelector('small')!
		this.#scroll = section.querySelector('.scroll')!
	}

	show(rows: Row[], all: number): void {
		this.#small.textContent = all > 0 ? String(all) : ''
		if (rows.length === 0) {
			this.#body = null
			this.#scroll.replaceChildren(element('p', 'none', this.none))
			return
		}
		const body = (this.#body ??= this.#table())
		const shown = rows.slice(0, MOST)
		while (body.rows.length > shown.length) body.deleteRow(-1)
		shown.forEach((row, i) => fill(body.rows[i] ?? body.insertRow(), row))
		if (all > shown.length) this.#small.textContent = `${all}, of which ${shown.length} are listed`
	}

	#table(): HTMLTableSectionElement {
		const table = document.createElement('table')
		const head = table.createTHead().insertRow()
		for (const { text, kind } of this.heads) head.append(element('th', kind ?? '', text))
		const body = table.createTBody()
		this.#scroll.replaceChildren(table)
		return body
	}
}

function element(tag: string, kind: string, text: string): HTMLElement {
	const e = document.createElement(tag)
	if (kind) e.className = kind
	e.textContent = text
	return e
}

function fill(tr: HTMLTableRowElement, row: Row): void {
	tr.className = row.health ?? ''
	row.cells.forEach((cell, i) => {
		const td = tr.cells[i] ?? tr.insertCell()
		if (td.className !== (cell.kind ?? '')) td.className = cell.kind ?? ''
		if (cell.kind === 'progress') {
			const bar = td.querySelector('progress') ?? td.appendChild(document.createElement('progress'))
			bar.value = cell.value ?? 0
			bar.title = cell.text
			return
		}
		if (cell.kind === 'state' && td.childElementCount === 0) td.append(element('span', 'dot', ''), '')
		const text = cell.kind === 'state' ? td.lastChild! : td
		if (text.textContent !== cell.text) text.textContent = cell.text
		td.title = cell.title ?? ''
	})
}

const number = (text: string): Cell => ({ text, kind: 'number' })
const id = (peer: string): Cell => ({ text: short(peer), title: peer, kind: 'id' })
const size = (n = 0): Cell => number(n > 0 ? bytes(n) : '–')
const time = (ms?: number): Cell => number(ms ? trip(ms) : '–')

const WORST: Health[] = ['bad', 'slow', 'away', 'good']
const byHealth = (a: Row, b: Row) => WORST.indexOf(a.health!) - WORST.indexOf(b.health!)

/** lists makes the lists, and returns what shows a picture in them. */
export function lists(): (picture: Picture) => void {
	const transfers = new List(
		'transfers',
		[{ text: 'channel' }, { text: 'from' }, { text: 'progress' }, number('of'), number('recipients')],
		'No transfer is under way.',
	)
	const sessions = new List(
		'sessions',
		[{ text: 'peer' }, { text: 'state' }, { text: 'identity' }, number('round trip'), number('waiting'), number('under way')],
		'No client is connected. See docs/gateway.md for how to connect one.',
	)
	const links = new List(
		'links',
		[{ text: 'here' }, { text: 'there' }, { text: 'state' }, number('round trip'), number('waiting'), number('under way'), number('sent'), number('open for')],
		'The server is linked with no browser.',
	)
	const relays = new List('relays', [{ text: 'relay' }, { text: 'state' }, number('since')], 'There is no relay: nobody can find the room.')

	return p => {
		transfers.show(
			p.transfers.map(t => {
				const value = t.size > 0 ? t.done / t.size : 0
				return {
					cells: [
						{ text: t.channel },
						id(t.from),
						{ text: `${Math.floor(value * 100)} %`, kind: 'progress', value },
						number(bytes(t.size)),
						number(String(t.recipients)),
					],
				}
			}),
			p.totals.transfers,
		)
		sessions.show(
			p.peers
				.flatMap(({ peer, session: s }): Row[] => {
					if (!s) return []
					const health = sessionHealth(s)
					const state = { good: 'connected', slow: 'slow', bad: 'slow', away: 'away' }[health]
					return [
						{
							health,
							cells: [id(peer), { text: state, kind: 'state' }, { text: s.identity }, time(s.roundTrip), size(s.waiting), size(s.underWay)],
						},
					]
				})
				.sort(byHealth),
			p.totals.sessions,
		)
		links.show(
			p.links
				.map((l): Row => {
					const health = linkHealth(l)
					const state = { good: 'open', slow: 'slow', bad: `silent for ${duration(l.silence ?? 0)}`, away: 'opening' }[health]
					return {
						health,
						cells: [
							id(p.peers[l.hosted]!.peer),
							id(p.peers[l.remote]!.peer),
							{ text: state, kind: 'state' },
							time(l.roundTrip),
							size(l.waiting),
							size(l.underWay),
							size(l.sent),
							number(l.open ? duration(l.age ?? 0) : '–'),
						],
					}
				})
				.sort(byHealth),
			p.totals.links,
		)
		relays.show(
			p.relays.map(r => ({
				health: r.state === 'connected' ? 'good' : r.state === 'connecting' ? 'slow' : 'bad',
				cells: [{ text: r.relay === 'local' ? 'this server' : r.relay, kind: 'id' }, { text: r.state, kind: 'state' }, number(duration(p.time - r.since))],
			})),
			p.relays.length,
		)
	}
}
