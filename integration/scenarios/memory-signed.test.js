// A room of GenosDB's Security Manager: pages that sign what they write, and a server that signs nothing.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { check } from '../lib/check.js'
import { Graph } from '../lib/graph.js'
import { serverOf } from '../lib/presence.js'
import { kind, stage } from '../lib/stage.js'
import { until } from '../lib/until.js'

const room = 'signed'
// Our own peer has no Security Manager.
const here = kind === 'genosdb' && stage('memory-signed', { rooms: { wallet: {}, [room]: { memory: true } } })

const values = nodes => Object.fromEntries(nodes.filter(({ id }) => !id.startsWith('user:')).map(({ id, value, edges }) => [id, [value, edges]]))

if (here) test('two users write and leave, a third page joins', async t => {
  const join = async (label, sm, identity) => {
    const page = await here.open(label)
    await page.join(identity === 'new' ? 'wallet' : room, { rtc: { relayUrls: [here.server.relay] }, sm })
    await serverOf(page)
    if (identity === 'new') return page
    if (identity) await page.ask('login', identity.mnemonic)
    return page
  }
  const wallet = await join('wallet', { superAdmins: ['0x0000000000000000000000000000000000000001'] }, 'new')
  const admin = await wallet.ask('register')
  const user = await wallet.ask('register')
  await wallet.close()
  const sm = { superAdmins: [admin.address] }
  const a = await join('admin', sm, admin)
  const b = await join('user', sm, user)
  const expected = {
    'of admin': [{ by: 'admin' }, ['of user']],
    'of user': [{ by: 'user', again: true }, []],
    'also of user': [{ by: 'user' }, ['of admin']],
  }
  await check(t, 'they sign in, and write', async () => {
    await until('the user is known', async () => a.get(`user:${user.address}`))
    await a.ask('assign', user.address, 'user')
    await until('the user may write', async () => (await b.get(`user:${user.address}`))?.value.role === 'user')
    await a.put('of admin', { by: 'admin' })
    await a.put('removed', { by: 'admin' })
    await b.put('of user', { by: 'user' })
    await b.put('also of user', { by: 'user' })
    await until('both have all', async () => (await a.count()) === 6 && (await b.count()) === 6)
    await a.link('of admin', 'of user')
    await b.link('also of user', 'of admin')
    await b.put('of user', { by: 'user', again: true })
    await a.remove('removed')
    for (const page of [a, b]) await has(page, expected)
  })
  await a.close()
  await b.close()
  await here.server.kill()
  await here.server.start()

  const c = await join('third', sm)
  await check(t, 'with both gone and the server killed, a third page that nobody signed in has all', async () => {
    await has(c, expected)
    assert.equal((await c.get(`user:${user.address}`)).value.role, 'user')
    assert.equal((await c.get(`user:${admin.address}`)).value.role, 'superadmin')
  })
  const d = await join('user again', sm, user)
  await check(t, 'the user comes back in another browser, and its writes are taken by their role', async () => {
    await has(d, expected)
    await d.put('later', { by: 'user' })
    await has(c, { ...expected, later: [{ by: 'user' }, []] })
  })
  await check(t, 'what HTTP writes and removes is taken, though nobody signed it', async () => {
    const graph = new Graph(here.server, room)
    await graph.put('sensor', { t: 21 })
    await graph.remove('later')
    for (const page of [c, d]) await has(page, { ...expected, sensor: [{ t: 21 }, []] })
  })
  for (const page of [c, d]) await page.close()
})

async function has(page, expected) {
  let seen
  await until(`${page.label} has what was written`, async () => {
    seen = JSON.stringify(Object.entries(values(await page.nodes())).sort())
    return seen === JSON.stringify(Object.entries(expected).sort())
  }).catch(error => {
    throw new Error(`${error.message}: ${seen}`)
  })
}
