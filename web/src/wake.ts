const events = ['online', 'offline', 'visibilitychange']

/**
 * Calls `woken` when the network has changed, or the page is looked at again: what we know of the
 * connection may be old then, since timers of hidden pages are slow and those of a sleeping machine
 * stand still. Returns what ends this.
 */
export function onWake(woken: () => void): () => void {
  const happened = ({ type }: Event) => {
    if (type !== 'visibilitychange' || !document.hidden) woken()
  }
  for (const event of events) globalThis.addEventListener?.(event, happened)
  return () => events.forEach((event) => globalThis.removeEventListener?.(event, happened))
}
