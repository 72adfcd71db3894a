// A firewall for UDP in the scenario's own network namespace. It is made of routes, since kernels without
// nftables have these too: packets of a port go to where nobody is, and are lost without a word.

import { execFileSync } from 'node:child_process'

const ip = (...args) => execFileSync('ip', args)
const ways = ['sport', 'dport']
let prepared = false

/** blockUDP drops all packets from and to a port. */
export function blockUDP(port) {
  if (!prepared) {
    prepared = true
    // What stays on the machine is routed by the first of all rules, before which there is no place.
    ip('rule', 'add', 'pref', '100', 'lookup', 'local')
    ip('rule', 'del', 'pref', '0')
    ip('route', 'add', 'default', 'dev', 'uplink', 'table', '77')
  }
  for (const way of ways) ip('rule', 'add', 'pref', '50', 'ipproto', 'udp', way, String(port), 'lookup', '77')
}

/** openUDP ends that. */
export function openUDP(port) {
  for (const way of ways) ip('rule', 'del', 'pref', '50', 'ipproto', 'udp', way, String(port))
}
