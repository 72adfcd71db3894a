// Files that arrive: first their progress, then they themselves.

import { FileCard } from './filecard.js'
import { percent } from './format.js'

export class Incoming {
  arriving = new Map() // peer id and file id -> FileCard

  constructor(log, people) {
    Object.assign(this, { log, people })
  }

  /** A transfer begins. Unlike what browsers send, it can be cancelled. */
  begin(transfer) {
    const { peer, meta, signal } = transfer
    if (meta?.id === undefined) return
    const card = this.card(peer, meta)
    card.progress(percent(0), 0)
    card.cancel(() => transfer.cancel('cancelled'))
    signal.addEventListener('abort', () => {
      this.arriving.delete(key(peer, meta))
      card.fail(signal.reason.code === 'cancelled' ? 'cancelled' : 'interrupted')
    })
  }

  progress(fraction, peerId, meta) {
    if (meta?.id === undefined) return // it will appear when it is here
    this.card(peerId, meta).progress(percent(fraction), fraction)
  }

  /** The file itself. Returns its name. */
  arrive(data, peerId, meta) {
    const card = this.card(peerId, meta)
    this.arriving.delete(key(peerId, meta))
    card.about.size = data.length
    const blob = new Blob([data])
    card.picture(blob)
    card.download(blob)
    card.done('received')
    return card.about.name
  }

  /** What it was sending will not come. */
  peerLeft(person) {
    for (const [name, card] of this.arriving) {
      if (!name.startsWith(`${person.id} `)) continue
      this.arriving.delete(name)
      card.fail('interrupted')
    }
  }

  card(peerId, meta) {
    const name = key(peerId, meta)
    let card = this.arriving.get(name)
    if (!card) {
      card = new FileCard(plain(meta))
      this.arriving.set(name, card)
      this.log.say(this.people.of(peerId), false, card.element, () => {
        this.arriving.delete(name)
        card.release()
      })
    }
    return card
  }
}

const key = (peerId, meta) => `${peerId} ${meta?.id}`

// Somebody else wrote the meta: take from it what has the right shape.
function plain(meta) {
  return {
    name: (typeof meta?.name === 'string' && meta.name.slice(0, 200)) || 'file',
    type: typeof meta?.type === 'string' ? meta.type : '',
    size: Number.isSafeInteger(meta?.size) && meta.size >= 0 ? meta.size : undefined,
  }
}
