// The server's part in transfers (docs/gateway.md, 'Transfers'), for sessions alone.

export class Transfers {
  constructor(server) {
    this.server = server
    this.underWay = new Map() // sender and number -> Transfer
    this.over = new Set()
    this.faults = [] // what a server answers with an error
    this.mostAtOnce = 0
  }

  of(from, transfer) {
    const key = `${from} ${transfer}`
    if (!this.underWay.has(key) && !this.over.has(key)) this.faults.push(`unknown transfer ${key}`)
    return this.underWay.get(key)
  }

  /** What a process that was started again knows. */
  forget() {
    this.underWay.clear()
    this.over.clear()
  }

  close(key) {
    this.underWay.delete(key)
    this.over.add(key)
  }

  begin(session, message) {
    if (message.from) return this.of(message.from, message.transfer)?.answered(session.id, message.offset)
    const { to, ...offer } = message
    const ids = to ?? this.server.sessions.filter((other) => other !== session).map(({ id }) => id)
    const known = this.underWay.get(`${session.id} ${message.transfer}`)
    const transfer = known ?? new Transfer(this, session, offer, ids)
    this.underWay.set(`${session.id} ${message.transfer}`, transfer)
    this.mostAtOnce = Math.max(this.mostAtOnce, this.underWay.size)
    transfer.ask(message.offset ?? 0)
  }

  chunk(session, { transfer, offset, data }) {
    const known = this.of(session.id, transfer)
    if (known && offset + data.length > known.floor + this.server.limits.window) this.faults.push(`chunk at ${offset} after ${known.floor}`)
    known?.forward({ op: 'chunk', transfer, from: session.id, offset, data })
  }

  ack(session, { from, transfer, offset }) {
    this.of(from, transfer)?.acknowledged(session.id, offset)
  }

  end(session, { from, transfer, hash }) {
    if (from) this.of(from, transfer)?.finished(session.id)
    else this.of(session.id, transfer)?.forward({ op: 'end', transfer, from: session.id, hash })
  }

  cancel(session, { from, transfer, reason }) {
    if (from) {
      const error = reason === 'corrupt' ? 'corrupt' : 'refused'
      this.of(from, transfer)?.missed(session.id, error, reason)
    } else {
      this.of(session.id, transfer)?.forward({ op: 'cancel', transfer, from: session.id, reason })
      this.close(`${session.id} ${transfer}`)
    }
  }

  resumed(session) {
    for (const transfer of this.underWay.values()) if (transfer.recipients.has(session.id)) transfer.ask(0, session.id)
  }
}

class Transfer {
  constructor(all, sender, offer, ids) {
    Object.assign(this, { all, sender, offer, recipients: new Map() })
    for (const id of ids) {
      if (all.server.peers.has(id)) this.recipients.set(id, { offset: undefined, ended: false })
      else this.result(id, 'unknown_peer', `no peer ${id}`)
    }
  }

  /** What all recipients have. */
  get floor() {
    return Math.min(...[...this.recipients.values()].map(({ acknowledged = 0 }) => acknowledged))
  }

  ask(offset, only) {
    const ids = only ? [only] : [...this.recipients.keys()]
    for (const id of ids) {
      const recipient = this.recipients.get(id)
      recipient.offset = undefined
      this.peer(id).tell({ ...this.offer, from: this.sender.id, offset: only ? (recipient.acknowledged ?? 0) : offset })
    }
    this.settle()
  }

  answered(id, offset) {
    Object.assign(this.recipients.get(id), { offset, acknowledged: offset })
    const offsets = [...this.recipients.values()].filter(({ ended }) => !ended).map((recipient) => recipient.offset)
    if (offsets.includes(undefined)) return
    this.sender.tell({ op: 'begin', transfer: this.offer.transfer, offset: Math.min(...offsets) })
    this.sender.tell({ op: 'ack', transfer: this.offer.transfer, offset: this.floor })
  }

  forward(message) {
    for (const id of this.recipients.keys()) this.peer(id)?.write?.(message)
  }

  acknowledged(id, offset) {
    this.recipients.get(id).acknowledged = offset
    const { transfer, size } = this.offer
    this.sender.tell({ op: 'ack', transfer, offset: this.floor })
    if (offset < size) this.sender.tell({ op: 'progress', transfer, peer: id, fraction: offset / size })
  }

  finished(id) {
    this.recipients.get(id).ended = true
    this.sender.tell({ op: 'progress', transfer: this.offer.transfer, peer: id, fraction: 1 })
    this.settle()
  }

  missed(id, error, message) {
    this.recipients.delete(id)
    this.result(id, error, message)
    this.settle()
  }

  result(peer, error, message) {
    this.sender.tell({ op: 'result', transfer: this.offer.transfer, peer, error, message })
  }

  settle() {
    const { transfer } = this.offer
    if (![...this.recipients.values()].every(({ ended }) => ended)) return
    this.all.close(`${this.sender.id} ${transfer}`)
    this.sender.tell(this.recipients.size > 0 ? { op: 'end', transfer } : { op: 'cancel', transfer, reason: 'nobody' })
  }

  peer(id) {
    return this.all.server.peers.get(id)
  }
}
