// Ten kills of the server, a reload every ten seconds and sockets that are cut, while 100 sessions
// and 4 pages talk and pass files: see bench/chaos. CHAOS has flags for it, as "-seed 7".

import { test } from 'node:test'
import { chaos } from '../lib/chaos.js'

test('chaos', { timeout: 15 * 60_000 }, t => chaos(t, [...(process.env.CHAOS ?? '').split(' ').filter(Boolean), 'chaos'], 2))
