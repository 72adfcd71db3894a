// What goes over the wire.

import { readFile } from 'node:fs/promises'

/** wireBytes is the number of bytes that were sent in this network namespace, all on its loopback interface. */
export async function wireBytes() {
  const interfaces = await readFile('/proc/net/dev', 'utf8')
  return Number(interfaces.match(/^\s*lo:\s*(\d+)/m)[1])
}
