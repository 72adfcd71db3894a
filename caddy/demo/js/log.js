// The list of what was said and sent.

import { byId, el } from './dom.js'
import { time } from './format.js'
import { avatar, kinds, nameOf } from './people.js'

const most = 300 // entries; older ones are removed
const together = 3 * 60_000 // entries of one peer within this time share a heading

export class Log {
  scroller = byId('log')
  list = byId('entries')
  last = { id: '', at: 0 }
  cleanups = new WeakMap()
  atEnd = true

  constructor() {
    this.scroller.addEventListener('scroll', () => {
      const { scrollHeight, scrollTop, clientHeight } = this.scroller
      this.atEnd = scrollHeight - scrollTop - clientHeight < 60
    })
    // Pictures and growing cards push the end down; whoever was there stays there.
    new ResizeObserver(() => this.follow()).observe(this.list)
    new ResizeObserver(() => this.follow()).observe(this.scroller)
  }

  /** Appends what a person has said, and returns its entry. `onRemove` is called when it is dropped from the list. */
  say(person, mine, body, onRemove) {
    const now = Date.now()
    const same = this.last.id === person.id && now - this.last.at < together
    this.last = { id: person.id, at: now }
    const { kind } = person
    const byline = el(
      'p',
      { class: `byline kind-${kind}` },
      el('span', { class: 'byline-name' }, nameOf(person)),
      el('span', { class: 'byline-kind' }, kinds[kind].label),
      el('time', { datetime: new Date(now).toISOString() }, time(now)),
    )
    const entry = el(
      'li',
      { class: 'entry' },
      avatar(person),
      byline,
      el('div', { class: 'said' }, body, el('p', { class: 'said-note', hidden: '' })),
    )
    entry.classList.toggle('same', same)
    entry.classList.toggle('mine', mine)
    if (onRemove) this.cleanups.set(entry, onRemove)
    this.append(entry)
    if (mine) this.toEnd()
    return entry
  }

  /** Appends a line about the room itself. */
  event(text) {
    this.last = { id: '', at: 0 }
    this.append(el('li', { class: 'event' }, el('span', { class: 'event-text' }, text)))
  }

  append(entry) {
    byId('empty').hidden = true
    this.list.append(entry)
    while (this.list.childElementCount > most) {
      const oldest = this.list.firstElementChild
      this.cleanups.get(oldest)?.()
      oldest.remove()
    }
  }

  follow() {
    if (this.atEnd) this.toEnd()
  }

  toEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight
  }
}

/** What became of an entry of ours: 'waiting', 'sent' or 'failed', with a note where there is something to say. */
export function mark(entry, state, note = '') {
  entry.classList.toggle('waiting', state === 'waiting')
  entry.classList.toggle('failed', state === 'failed')
  const line = entry.querySelector('.said-note')
  line.hidden = note === ''
  line.textContent = note
}

/** Text as it was typed. */
export const bubble = (text) => el('div', { class: 'bubble' }, text)

/** A message that is no chat message of ours, as it came. */
export const rawBubble = (data) =>
  el('div', { class: 'bubble raw' }, data instanceof Uint8Array ? `${data.length} bytes` : JSON.stringify(data).slice(0, 10_000))
