/** Listeners by event. A listener that throws is reported and disturbs no other. */
export class Emitter<Events extends { [E in keyof Events]: unknown[] }> {
  private readonly listeners = new Map<keyof Events, Set<(...args: any) => void>>()

  on<E extends keyof Events>(event: E, listener: (...args: Events[E]) => void): void {
    const set = this.listeners.get(event)
    if (set) set.add(listener)
    else this.listeners.set(event, new Set([listener]))
  }

  off<E extends keyof Events>(event: E, listener: (...args: Events[E]) => void): void {
    this.listeners.get(event)?.delete(listener)
  }

  has(event: keyof Events): boolean {
    return (this.listeners.get(event)?.size ?? 0) > 0
  }

  emit<E extends keyof Events>(event: E, ...args: Events[E]): void {
    // A copy: listeners may come and go while they are called.
    for (const listener of [...(this.listeners.get(event) ?? [])]) guarded(listener, ...args)
  }
}

/** Calls a function of the application's, whose errors are not ours to die of. */
export function guarded<Args extends unknown[]>(call: (...args: Args) => void, ...args: Args): void {
  try {
    call(...args)
  } catch (error) {
    if (typeof reportError === 'function') reportError(error)
    else console.error(error)
  }
}
