// The list of who is here.

import { byId, el } from './dom.js'
import { avatar, kinds, nameOf, shortId } from './people.js'

export function showRoster(people, pings) {
  const sorted = people.sorted()
  byId('roster').replaceChildren(...sorted.map((person) => row(person, pings.get(person.id))))
  byId('people-count').textContent = byId('people-toggle-count').textContent = sorted.length
  byId('alone').hidden = sorted.some(({ kind }) => kind === 'browser' || kind === 'session')
}

function row(person, ping) {
  const { kind, id } = person
  return el(
    'li',
    { class: `person kind-${kind}`, 'data-peer': id, 'data-kind': kind, title: id },
    avatar(person),
    el(
      'div',
      {},
      el('p', { class: 'person-name' }, kind === 'self' ? `${person.name} (you)` : nameOf(person)),
      el('p', { class: 'person-kind' }, el('b', {}, kinds[kind].label), ` · ${kinds[kind].means}`),
    ),
    el(
      'span',
      { class: 'person-ping', title: ping === undefined ? '' : 'round trip' },
      ping === undefined ? el('span', { class: 'mono' }, shortId(id)) : `${Math.max(1, Math.round(ping))} ms`,
    ),
  )
}

/** Measures the round trip to everybody now and then, and calls `show`. Rooms with many peers are left alone. */
export function startPings(room, people, pings, show) {
  const measure = async () => {
    const ids = [...people.present.keys()]
    if (!document.hidden && ids.length <= 12) {
      await Promise.all(
        ids.map((id) =>
          room.ping(id).then(
            (ms) => pings.set(id, ms),
            () => pings.delete(id),
          ),
        ),
      )
      for (const id of pings.keys()) if (!people.present.has(id)) pings.delete(id)
      show()
    }
    setTimeout(measure, 10_000)
  }
  setTimeout(measure, 500)
}
