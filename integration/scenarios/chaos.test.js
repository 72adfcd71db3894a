// What sessions promise, while the server is killed, at a size for each run of the tests. For the
// real size see long.sh and bench/chaos.

import { test } from 'node:test'
import { chaos } from '../lib/chaos.js'

test('the server is killed under a sender and a receiver', t => chaos(t, ['-kills', '10', 'kills']))

test('sessions and pages talk while sockets are cut, and the server is reloaded and killed', t =>
  chaos(t, ['-kills', '2', '-sessions', '20', '-deliveries', '5000', '-files', '3', '-mib', '5', 'chaos'], 1))
