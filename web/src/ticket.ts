/** What it takes to go on with a session from a page that was loaded anew. */
export interface Ticket {
  resume: string
  /** The highest seq of a message that the application was given. */
  ack: number
  /** The highest number of a transfer of ours. */
  transfer: number
  /** The transfers of ours that ended with the page. */
  ended: number[]
  /** Our sends that were not acknowledged, as JSON. */
  sends: string[]
  /** The seqs of those that are encrypted, under the ids that follow. */
  sealed: number[]
  id: string
  mesh: string
}

/**
 * Lets a session live over a reload of its page, in sessionStorage. The ticket lies there only
 * while no page has the session: a tab that is duplicated must not find the same one.
 */
export class TicketStore {
  constructor(private readonly key: string) {}

  take(): Ticket | undefined {
    try {
      const ticket = JSON.parse(sessionStorage.getItem(this.key) ?? 'null')
      sessionStorage.removeItem(this.key)
      return ticket ? { ended: [], sends: [], sealed: [], id: '', mesh: '', ...ticket } : undefined // an earlier version of this file had fewer fields
    } catch {
      return undefined // no storage here, or none that we may use
    }
  }

  put(ticket: Ticket): void {
    for (const sends of [ticket.sends, []]) {
      try {
        return sessionStorage.setItem(this.key, JSON.stringify({ ...ticket, sends }))
      } catch {} // it has no place for so much; or none at all, and the next page starts anew
    }
  }
}

/**
 * Calls `hidden` when the page ends or is put aside, with whether it may come back by itself, and
 * `shown` when it does. Returns what ends this.
 */
export function watchPage(hidden: (mayReturn: boolean) => void, shown: () => void): () => void {
  const onHide = (event: PageTransitionEvent) => hidden(event.persisted)
  const onShow = (event: PageTransitionEvent) => event.persisted && shown()
  globalThis.addEventListener?.('pagehide', onHide)
  globalThis.addEventListener?.('pageshow', onShow)
  return () => {
    globalThis.removeEventListener?.('pagehide', onHide)
    globalThis.removeEventListener?.('pageshow', onShow)
  }
}
