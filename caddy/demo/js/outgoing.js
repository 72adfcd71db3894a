// Files that we send: one bar each, and how far it is with each recipient.

import { el } from './dom.js'
import { FileCard } from './filecard.js'
import { percent, plural } from './format.js'
import { nameOf } from './people.js'

const reasons = {
  too_large: 'too large for a browser',
  unknown_peer: 'left',
  slow: 'too slow',
  gone: 'left',
  refused: 'refused',
  corrupt: 'damaged on the way',
}

export class Outgoing {
  underWay = new Map() // id -> Delivery

  constructor(log, people) {
    Object.assign(this, { log, people })
  }

  async send(file, ready) {
    const card = new FileCard(file)
    this.log.say(this.people.self, true, card.element, () => card.release())
    card.picture(file)
    card.progress('waiting')
    const abort = new AbortController()
    card.cancel(() => abort.abort())
    const room = await ready
    const id = randomId()
    const delivery = new Delivery(card, [...this.people.present.values()])
    this.underWay.set(id, delivery)
    const meta = { name: file.name, type: file.type, size: file.size, id }
    try {
      await room.channel('file').send(file, {
        meta,
        signal: abort.signal,
        progress: (fraction, peerId) => {
          delivery.reached(this.people.of(peerId), fraction)
          this.settle()
        },
      })
      delivery.accepted()
    } catch (error) {
      if (error.code === 'nobody') delivery.accepted() // whom it missed, and why, was told
      else delivery.failed(error.name === 'AbortError' ? 'cancelled' : `not sent: ${error.message}`)
    }
    this.settle()
  }

  /** A recipient was not reached. */
  result({ channel, meta, peer, error }) {
    if (channel === 'file') this.underWay.get(meta?.id)?.missed(this.people.of(peer), reasons[error] ?? error)
    this.settle()
  }

  peerLeft(person) {
    for (const delivery of this.underWay.values()) delivery.left(person)
    this.settle()
  }

  // Forgets what has ended everywhere.
  settle() {
    for (const [id, delivery] of this.underWay) if (delivery.over) this.underWay.delete(id)
  }
}

/** One file on its way to everybody. */
class Delivery {
  acknowledged = false
  ended = false
  recipients = new Map() // id -> { person, fraction, missed }

  constructor(card, present) {
    this.card = card
    // A server need not tell how far it is, so it counts only if it does.
    for (const person of present) if (person.kind !== 'superpeer') this.recipients.set(person.id, { person, fraction: 0 })
    this.show()
  }

  reached(person, fraction) {
    this.recipients.set(person.id, { person, fraction })
    this.show()
  }

  missed(person, why) {
    const recipient = this.recipients.get(person.id)
    if (!recipient || recipient.fraction === 1) return
    recipient.missed = why
    this.show()
  }

  /** What the server has not taken yet is sent again after a lost connection, to those who are there then. */
  left(person) {
    if (this.acknowledged) this.missed(person, 'left')
    else this.recipients.delete(person.id)
  }

  accepted() {
    this.acknowledged = true
    this.show()
  }

  failed(why) {
    this.ended = true
    this.card.fail(why)
  }

  get over() {
    return this.ended || (this.acknowledged && [...this.recipients.values()].every(({ fraction, missed }) => missed || fraction === 1))
  }

  show() {
    if (this.ended) return
    const all = [...this.recipients.values()]
    const reachable = all.filter(({ missed }) => !missed)
    const sum = reachable.reduce((total, { fraction }) => total + fraction, 0)
    const misses = all.length - reachable.length
    if (!this.over) {
      const average = reachable.length ? sum / reachable.length : undefined
      this.card.progress(
        average ? `${percent(average)} of the way to ${plural(reachable.length, 'peer')}` : 'sending',
        average || undefined,
      )
    } else if (all.length === 0) {
      this.card.done('sent. Nobody else was here to take it.')
    } else if (misses) {
      this.card.fail(`reached ${reachable.length} of ${plural(all.length, 'peer')}`)
    } else {
      this.card.done(`delivered to ${plural(all.length, 'peer')}`)
    }
    if (all.length > 1 || misses) this.showEach(all)
  }

  // The same for each recipient, for who wants to know.
  showEach(all) {
    this.list ??= el('ul')
    if (!this.list.isConnected) this.card.element.append(el('details', {}, el('summary', {}, 'Each recipient'), this.list))
    this.list.replaceChildren(
      ...all.map(({ person, fraction, missed }) =>
        el(
          'li',
          {},
          el('span', {}, nameOf(person)),
          el('progress', { max: '1', value: fraction, 'aria-label': nameOf(person) }),
          el('span', {}, missed ?? percent(fraction)),
        ),
      ),
    )
  }
}

const randomId = () => [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, '0')).join('')
