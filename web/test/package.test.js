// The npm package: what is in it, and that its name leads to the client.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'

test('the package has the client, its types and its description', () => {
  // Its licence is copied by a script, which would build here.
  const told = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: new URL('..', import.meta.url), encoding: 'utf8' })
  const [{ files }] = Object.values(JSON.parse(told))
  assert.deepEqual(files.map(({ path }) => path).toSorted(), ['README.md', 'dist/client.d.ts', 'dist/client.js', 'package.json'])
})

test('its name is that of the client', async () => {
  assert.deepEqual(Object.keys(await import('genosrtc-client')).toSorted(), ['gdb', 'join'])
})
