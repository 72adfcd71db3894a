// Who is there, in the words of a participant: a Page or a Client.

import { until } from './until.js'

export const others = (participants, one) => participants.filter(other => other !== one)

/** meet waits until all participants are connected with each other. */
export async function meet(participants, timeout = 20_000) {
  for (const one of participants) {
    for (const other of others(participants, one)) {
      await until(
        `${one.label} is connected with ${other.label}`,
        async () => (await one.peers()).includes(other.id),
        timeout,
      )
    }
  }
}

/** servers returns the ids of the superpeers that a participant is connected with. */
export async function servers(one) {
  const peers = await one.peers()
  const declared = (await one.events()).filter(({ event, type }) => event === 'join' && type === 'superpeer')
  return peers.filter(peer => declared.some(join => join.peer === peer))
}

/** serverOf waits until a participant is connected with the server, and resolves with its id. */
export async function serverOf(one, timeout) {
  const [server] = await until(
    `${one.label} is connected with the server`,
    async () => {
      const found = await servers(one)
      return found.length > 0 && found
    },
    timeout,
  )
  return server
}

/** told waits until a participant was told of an event of a peer, after the first `skip` of its events. */
export function told(one, event, peer, { skip = 0, timeout } = {}) {
  return until(
    `${one.label} is told peer:${event} of ${peer}`,
    async () => (await one.events()).slice(skip).some(entry => entry.event === event && entry.peer === peer),
    timeout,
  )
}
