// The monitor page: which room, whether it may be seen, and what is to be seen of it.

import { watch, type Credentials } from './feed.ts'
import { lists } from './lists.ts'
import { Mesh } from './mesh.ts'
import { rates, type Picture, type Rates } from './picture.ts'
import { bytesPlot, latencyPlot, messagesPlot } from './plots.ts'
import { bytes, count, duration, trip } from './text.ts'

const find = <E extends HTMLElement>(id: string): E => document.getElementById(id) as E
const page = document.querySelector('main')!
const door = find<HTMLFormElement>('door')
const room = find<HTMLInputElement>('room')
const [password, token] = [find<HTMLInputElement>('password'), find<HTMLInputElement>('token')]
const cookies = document.documentElement.dataset.credentials as RequestCredentials

page.hidden = false // what is measured has to be there
const mesh = new Mesh(find('mesh'))
const plots = { messages: messagesPlot(find('messages')), bytes: bytesPlot(find('bytes')), latency: latencyPlot(find('latency')) }
const showLists = lists()
page.hidden = true

let last: Picture | null = null
let end = () => {}

/** state says in a word how it goes, to the style sheet, and in a sentence to people. */
function state(name: 'choose' | 'connecting' | 'live' | 'lost' | 'refused', text: string): void {
	document.body.dataset.state = name
	const status = find('state')
	if (status.textContent !== text) status.textContent = text
}

function open(name: string, credentials: Credentials = {}): void {
	end()
	if (last?.room !== name) {
		last = null
		page.hidden = true
		for (const plot of Object.values(plots)) plot.clear()
	}
	door.hidden = true
	room.value = name
	if (name === '') {
		state('choose', 'Which room? Write the name that the app passes to gdb().')
		room.focus()
		return
	}
	document.title = `${name} – GenosRTC monitor`
	state('connecting', 'Connecting …')
	end = watch(name, credentials, cookies, {
		picture: show,
		lost: (reason, failures) => {
			const since = last ? `, so this is of ${new Date(last.time).toLocaleTimeString('en-GB')}` : ''
			state('lost', `Connection lost (${reason})${since}. Trying again${failures > 1 ? `, for the ${failures}th time` : ''} …`)
		},
		refused: asked => {
			page.hidden = true
			state('refused', 'Not let in')
			find<HTMLInputElement>('name').value = name // for who keeps passwords
			find('refusal').textContent = sentence(asked.detail)
			find('by-password').hidden = !asked.password
			find('by-token').hidden = !asked.token
			door.querySelector('button')!.hidden = door.querySelector<HTMLElement>('.note')!.hidden = !asked.password && !asked.token
			door.hidden = false
			;(asked.password ? password : token).focus()
		},
		unknown: detail => {
			page.hidden = true
			state('refused', sentence(detail))
			room.focus()
		},
	})
}

const sentence = (text: string): string => (text ? `${text[0]!.toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}` : '')

function show(p: Picture): void {
	if (last && p.time === last.time && p.room === last.room) {
		state('live', live(p))
		return
	}
	page.hidden = false
	const rate = last && rates(last, p)
	if (last && last.opened !== p.opened) for (const plot of Object.values(plots)) plot.clear()
	last = p
	state('live', live(p))
	tiles(p, rate)
	mesh.show(p)
	showLists(p)
	if (rate) {
		plots.messages.add(p.time, [rate.messages])
		plots.bytes.add(p.time, [rate.messageBytes, rate.transferBytes, rate.linkIn, rate.linkOut])
	}
	plots.latency.add(p.time, p.roundTrip ? [p.roundTrip.median, p.roundTrip.p95] : [null, null])
}

const live = (p: Picture): string => `Live, room open for ${duration(p.time - p.opened)}`

function tiles(p: Picture, rate: Rates | null): void {
	const kinds = { server: 0, session: 0, browser: 0 }
	for (const peer of p.peers) kinds[peer.kind]++
	const part = (n: number, one: string) => (n > 0 ? [`${n} ${one}${n === 1 ? '' : 's'}`] : [])
	const opening = p.links.filter(l => !l.open).length
	const through = rate && rate.messageBytes + rate.transferBytes
	const list: [string, string][] = [
		[count(p.totals.peers), `peers: ${[...part(kinds.server, 'server'), ...part(kinds.session, 'session'), ...part(kinds.browser, 'browser')].join(', ')}`],
		[count(p.totals.links), `links of this server${opening > 0 ? `, ${opening} opening` : ''}`],
		[p.cells ? count(p.cells.knownCells) : 'full mesh', p.cells ? `cells of ${p.cells.cellSize}${p.cells.mixed ? ', mixed room' : ''}` : 'no cells'],
		[rate ? `${count(rate.messages)}/s` : '–', `messages, ${count(p.traffic.messages)} so far`],
		[through === null ? '–' : `${bytes(through)}/s`, `of payload, ${bytes(p.traffic.messageBytes + p.traffic.transferBytes)} so far`],
		[p.roundTrip ? trip(p.roundTrip.median) : '–', p.roundTrip ? `round trip, 95 % below ${trip(p.roundTrip.p95)}` : 'round trip'],
	]
	const places = find('tiles')
	list.forEach(([value, text], i) => {
		const tile = (places.children[i] as HTMLElement) ?? places.appendChild(document.createElement('div'))
		if (tile.childElementCount === 0) {
			tile.className = 'tile'
			tile.append(document.createElement('b'), document.createElement('span'))
		}
		if (tile.children[0]!.textContent !== value) tile.children[0]!.textContent = value
		if (tile.children[1]!.textContent !== text) tile.children[1]!.textContent = text
	})
}

const named = (): string => {
	const name = new URLSearchParams(location.hash.slice(1)).get('room')
	return name ?? document.querySelector<HTMLOptionElement>('#rooms option')?.value ?? ''
}
find<HTMLFormElement>('choose').addEventListener('submit', event => {
	event.preventDefault()
	const hash = `#${new URLSearchParams({ room: room.value })}`
	if (hash === location.hash) open(room.value)
	else location.hash = hash
})
door.addEventListener('submit', event => {
	event.preventDefault()
	open(room.value, { password: password.value, token: token.value })
	password.value = token.value = ''
})
addEventListener('hashchange', () => open(named()))
open(named())
