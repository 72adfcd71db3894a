import assert from 'node:assert/strict'
import { until } from './until.js'

/** settle stops the traffic of two clients, and fails if anything of it was lost, doubled or out of order. */
export async function settle(clients) {
  const sent = []
  for (const client of clients) sent.push(await client.ask('stop'))
  for (const [at, client] of clients.entries()) {
    const other = 1 - at
    const report = await until(`${client.label} has heard all`, async () => {
      const report = await client.ask('report')
      return Object.entries(sent[other]).every(([channel, n]) => report.heard[channel][clients[other].label] === n) && report
    }, 30_000)
    assert.deepEqual(report.faults, [])
    assert.equal(report.received, sent[other].all + sent[other].few)
    assert.ok(report.received > 100, `only ${report.received}`)
  }
}
