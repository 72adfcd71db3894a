// Networks of their own, as users have them: behind a NAT, or behind a firewall that lets no UDP through.
// The addresses of the outside are those for documentation (RFC 5737): nothing of the server takes them for
// private ones.

import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { CHROMIUM } from './page.js'

const run = (command, ...args) => execFileSync(command, args, { stdio: ['ignore', 'pipe', 'inherit'] }).toString()
const ip = command => run('ip', ...command.split(' '))

/** SERVER is an address of the machine that the scenarios run on, outside of all these networks. */
export const SERVER = '192.0.2.1'

/** internet makes this machine a router between the networks, with an address of its own. */
export function internet() {
  ip('link set lo up')
  ip(`addr replace ${SERVER}/32 dev lo`)
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1')
}

/** Network is a local network with one machine, 10.0.0.2, behind a NAT whose address is `outside`.2. */
export class Network {
  #holders = []
  #folder = mkdtempSync(path.join(os.tmpdir(), 'network-'))

  /** outside is the first three numbers of a network of the documentation; symmetric: another port for each destination. */
  constructor(name, outside) {
    const nat = (this.nat = this.#namespace())
    const machine = (this.machine = this.#namespace())
    ip(`link add ${name}-out type veth peer name wan netns ${nat}`)
    ip(`addr add ${outside}.1/24 dev ${name}-out`)
    ip(`link set ${name}-out up`)
    this.#in(nat, `ip link add lan type veth peer name eth0 netns ${machine}`)
    this.#in(nat, `ip addr add ${outside}.2/24 dev wan && ip addr add 10.0.0.1/24 dev lan`)
    this.#in(nat, `ip link set wan up && ip link set lan up && ip route add default via ${outside}.1`)
    this.#in(nat, 'echo 1 > /proc/sys/net/ipv4/ip_forward')
    this.#in(nat, 'nft add table ip nat && nft "add chain ip nat out { type nat hook postrouting priority 100; }"')
    this.#in(nat, 'nft add rule ip nat out oifname wan masquerade fully-random')
    this.#in(nat, 'nft add table ip fw && nft "add chain ip fw through { type filter hook forward priority 0; }"')
    this.#in(machine, 'ip link set lo up && ip addr add 10.0.0.2/24 dev eth0 && ip link set eth0 up')
    this.#in(machine, 'ip route add default via 10.0.0.1')
    this.chromium = path.join(this.#folder, 'chromium')
    writeFileSync(this.chromium, `#!/bin/sh\nexec nsenter --net=/proc/${machine}/ns/net ${CHROMIUM} "$@"\n`)
    chmodSync(this.chromium, 0o755)
  }

  /** blockUDP is a firewall that lets TCP through only. */
  blockUDP() {
    this.#in(this.nat, 'nft add rule ip fw through meta l4proto udp drop')
  }

  close() {
    for (const holder of this.#holders) holder.kill('SIGKILL')
    rmSync(this.#folder, { recursive: true })
  }

  /** namespace makes a network namespace, and returns the id of a process that is in it. */
  #namespace() {
    const holder = spawn('unshare', ['--net', 'sleep', 'infinity'], { stdio: 'ignore' })
    this.#holders.push(holder)
    const ours = run('readlink', '/proc/self/ns/net')
    while (run('readlink', `/proc/${holder.pid}/ns/net`) === ours);
    // An IPv6 address that becomes ready later is a change of the network, at which Chromium gives up requests.
    this.#in(holder.pid, 'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6')
    return holder.pid
  }

  #in = (namespace, script) => run('nsenter', `--net=/proc/${namespace}/ns/net`, 'sh', '-c', script)
}
