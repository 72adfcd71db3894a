// A picture of the room: everybody is connected with this server, sessions by WebSocket and
// browsers by WebRTC. A message is a spark that runs along the lines.

import { byId, icon, svg } from './dom.js'
import { nameOf } from './people.js'

const middle = { x: 140, y: 96 }
const reach = { x: 104, y: 66 }
const most = 12

const places = new Map() // id -> { x, y, kind }

export function showMap(people) {
  const [self, ...others] = people.sorted()
  const hub = others.find(({ kind }) => kind === 'superpeer')
  const around = [self, ...others.filter((person) => person !== hub)]
  const shown = around.slice(0, most)

  places.clear()
  if (hub) places.set(hub.id, { ...middle, kind: 'superpeer' })
  shown.forEach((person, at) => {
    const angle = Math.PI / 2 + (2 * Math.PI * at) / shown.length // we are at the bottom
    places.set(person.id, { x: middle.x + reach.x * Math.cos(angle), y: middle.y + reach.y * Math.sin(angle), kind: person.kind })
  })

  byId('map').replaceChildren(
    ...shown.map((person) => line(places.get(person.id))),
    node({ ...middle, kind: 'superpeer' }, 17, 'This server'),
    ...shown.map((person) => node(places.get(person.id), 13, person === self ? 'You' : nameOf(person))),
    around.length > most ? svg('text', { x: 256, y: 188 }, `+${around.length - most}`) : '',
  )
}

/** Somebody's message, to those who have it from there. */
export function spark(from, to) {
  if (matchMedia('(prefers-reduced-motion: reduce)').matches || document.hidden) return
  const start = places.get(from)
  if (!start) return
  for (const id of to) {
    const end = places.get(id)
    if (end && end !== start) run(start, end)
  }
}

function run(start, end) {
  const dot = svg('circle', { class: `spark kind-${start.kind}`, r: 4 })
  byId('map').append(dot)
  const at = ({ x, y }) => ({ transform: `translate(${x}px, ${y}px)` })
  dot.animate([at(start), at(middle), at(end)], { duration: 700, easing: 'ease-in-out' }).finished.finally(() => dot.remove())
}

function line({ x, y, kind }) {
  return svg('line', { class: kind === 'browser' ? 'dashed kind-browser' : `kind-${kind}`, x1: middle.x, y1: middle.y, x2: x, y2: y })
}

function node({ x, y, kind }, r, name) {
  const size = r
  return svg(
    'g',
    { class: `node kind-${kind}` },
    svg('title', {}, name),
    svg('circle', { cx: x, cy: y, r }),
    icon(kind, { x: x - size / 2, y: y - size / 2, width: size, height: size }),
    name === 'You' || name === 'This server' ? svg('text', { x, y: y + r + 12 }, name) : '',
  )
}
