// Who is here, under which name, and of which kind.

import { el, icon } from './dom.js'

/** The kinds of peers, as people read them. */
export const kinds = {
  self: { label: 'this page', means: 'over WebSocket' },
  superpeer: { label: 'superpeer', means: 'a server' },
  browser: { label: 'browser', means: 'over WebRTC' },
  session: { label: 'session', means: 'over WebSocket' },
}

const remembered = 500 // names of peers, also of some that left

export class People {
  self = { id: '', kind: 'self', name: '' }
  present = new Map() // id -> person, without ourselves
  names = new Map()

  join(id, type) {
    const kind = type === 'superpeer' || type === 'session' ? type : 'browser'
    const person = { id, kind, name: this.names.get(id) ?? '' }
    this.present.set(id, person)
    return person
  }

  leave(id) {
    const person = this.of(id)
    this.present.delete(id)
    return person
  }

  /** The person of that id, also if it is not here any more. */
  of(id) {
    if (id === this.self.id) return this.self
    return this.present.get(id) ?? { id, kind: 'browser', name: this.names.get(id) ?? '' }
  }

  /** A peer has said what it is called. */
  call(id, name) {
    this.names.delete(id)
    this.names.set(id, name)
    if (this.names.size > remembered) this.names.delete(this.names.keys().next().value)
    const person = this.present.get(id)
    if (person) person.name = name
  }

  /** Ourselves first, then servers, then the others by name. */
  sorted() {
    const rank = ({ kind }) => (kind === 'superpeer' ? 0 : 1)
    const others = [...this.present.values()]
    others.sort((a, b) => rank(a) - rank(b) || nameOf(a).localeCompare(nameOf(b)))
    return [this.self, ...others]
  }
}

export const shortId = (id) => id.slice(0, 6)

export function nameOf({ kind, name, id }) {
  if (kind === 'superpeer') return 'Server'
  return name || `${kind === 'session' ? 'Session' : 'Browser'} ${shortId(id)}`
}

/** A round picture: initials in a colour of the peer's own with the sign of its kind, or that sign alone. */
export function avatar({ kind, id, name }) {
  const named = name !== '' && kind !== 'superpeer'
  const circle = el(
    'span',
    { class: `avatar kind-${kind}`, 'aria-hidden': 'true' },
    named ? initials(name) : icon(kind),
    named ? el('span', { class: 'avatar-kind' }, icon(kind)) : undefined,
  )
  circle.classList.toggle('named', named)
  circle.style.setProperty('--hue', hue(id))
  return circle
}

function initials(name) {
  const words = name.split(/\s+/).slice(0, 2)
  return words.map((word) => [...word][0].toUpperCase()).join('')
}

function hue(id) {
  let sum = 0
  for (const char of id) sum = (sum * 31 + char.charCodeAt(0)) % 360
  return sum
}
