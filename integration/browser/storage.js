// What a page keeps of a database when it is closed.

const DELAY = 200

/** Storage holds one value in an IndexedDB of its own. */
export class Storage {
  #db
  #timer = null

  static async open(name) {
    const storage = new Storage()
    const request = indexedDB.open(`graph ${name}`)
    request.onupgradeneeded = () => request.result.createObjectStore('graph')
    storage.#db = await done(request)
    return storage
  }

  load = () => done(this.#store('readonly').get('state'))

  /** save stores what state() returns, a moment later, when the changes of the moment are all made. */
  save(state) {
    this.#timer ??= setTimeout(() => {
      this.#timer = null
      this.#store('readwrite').put(state(), 'state')
    }, DELAY)
  }

  #store = mode => this.#db.transaction('graph', mode).objectStore('graph')
}

const done = request =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
