// Rules of channels, for a browser peer and for clients; and what is encrypted between pages with
// client.js, which neither a client nor a browser peer beside them can read.

import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { check } from '../lib/check.js'
import { Page } from '../lib/page.js'
import { meet } from '../lib/presence.js'
import { stage } from '../lib/stage.js'
import { until } from '../lib/until.js'
import { fingerprint, make } from '../pages/value.js'

const channels = ['strict', 'lax', 'secret']
const root = path.resolve(import.meta.dirname, '..')
const here = stage('rules', {
  caddyfile: ({ port }) => `{
	admin off
	persist_config off
	auto_https off
	genosrtc {
		udp 127.0.0.1:${port}
	}
}
http://:${port} {
	bind 127.0.0.1
	genosrtc {
		room demo {
			channel strict {
				max_size 1KiB
				rate 5/h
				schema ${root}/pages/strict.schema.json
				enforce
			}
			channel lax {
				max_size 1KiB
			}
		}
	}
	root ${root}
	file_server
}
`,
})

const said = async (one, channel, from) =>
  (await one.messages()).filter(message => message.channel === channel && message.from === from.id).map(({ data }) => data)
const hears = (one, channel, from, specs) =>
  until(`${one.label} hears ${from.label} on ${channel}`, async () =>
    String(await said(one, channel, from)) === String(specs.map(spec => fingerprint(make(spec)))))

test('rules', async t => {
  const page = await here.page('demo', { label: 'page', channels })
  const other = await here.page('demo', { label: 'other page', channels })
  const alice = await here.client('demo', 'json', { label: 'alice' })
  const bob = await here.client('demo', 'msgpack', { label: 'bob' })
  await meet([page, other, alice, bob])
  const good = { value: { text: 'hello' } }
  const bad = [{ value: { text: 7 } }, { value: { text: 'x'.repeat(2_000) } }, { bytes: [1, 2] }]

  await check(t, 'a client is refused, with the rule and the place', async () => {
    await assert.rejects(alice.send('strict', bad[0]), /rule: channel strict: schema: \/text: got number, want string/)
    await assert.rejects(alice.send('strict', bad[1]), /rule: channel strict: max_size: /)
    await assert.rejects(alice.send('strict', bad[2]), /rule: channel strict: schema: /)
    await alice.send('strict', good)
    for (const one of [bob, page, other]) await hears(one, 'strict', alice, [good])
  })
  await check(t, 'what a page sends against a rule that is enforced reaches pages, but no client', async () => {
    const all = [...bad, good]
    for (const spec of all) await page.send('strict', spec)
    await hears(other, 'strict', page, all)
    for (const client of [alice, bob]) await hears(client, 'strict', page, [good])
  })
  await check(t, 'more than the rate is refused, and of a page not passed on', async () => {
    // Sizes are judged before the rate, and schemas after it, so two of five are left for each.
    await alice.send('strict', good)
    await alice.send('strict', good)
    await assert.rejects(alice.send('strict', good), /rule: channel strict: rate: more than 5 in 1h0m0s/)
    for (let i = 0; i < 5; i++) await page.send('strict', good)
    await page.send('lax', { value: 'after it' })
    await hears(bob, 'lax', page, [{ value: 'after it' }])
    await hears(bob, 'strict', page, [good, good, good])
  })
  await check(t, 'without enforce clients get it, and are refused themselves', async () => {
    const long = { value: 'x'.repeat(2_000) }
    await page.send('lax', long)
    await hears(bob, 'lax', page, [{ value: 'after it' }, long])
    await assert.rejects(bob.send('lax', long), /rule: channel lax: max_size/)
  })
  for (const client of [alice, bob]) await client.leave()
  for (const one of [page, other]) await one.close()
})

test('end-to-end encryption between pages with client.js', async t => {
  const open = async (label, passphrase) => {
    const page = await Page.open(here.browser, here.server.url, label, 'client')
    await page.join('demo', { passphrases: { secret: passphrase } }, channels)
    return page
  }
  const [alice, bob, mallory] = [await open('alice', 'the passphrase'), await open('bob', 'the passphrase'), await open('mallory', 'another')]
  const page = await here.page('demo', { label: 'page', channels })
  const client = await here.client('demo', 'json', { label: 'client' })
  await meet([alice, bob, mallory, page, client])
  const specs = [{ value: 'grüße' }, { value: { text: 'hi' } }, { random: 40_000 }]

  await check(t, 'who has the passphrase reads it', async () => {
    for (const spec of specs) await alice.send('secret', spec, { meta: { n: 1 } })
    await hears(bob, 'secret', alice, specs)
    assert.ok((await bob.messages()).every(({ meta }) => meta.n === 1))
  })
  await check(t, 'others see bytes without meta', async () => {
    for (const one of [page, client]) {
      await until(`${one.label} has all`, async () => (await said(one, 'secret', alice)).length === specs.length)
      for (const { data, meta } of await one.messages()) {
        assert.match(data, /^bytes /)
        assert.equal(meta, null)
      }
    }
  })
  await check(t, 'another passphrase is an error and no message', async () => {
    await until('mallory is told', async () => (await mallory.ask('errors')).length === specs.length)
    assert.ok((await mallory.ask('errors')).every(code => code === 'unreadable'))
    assert.deepEqual(await mallory.messages(), [])
  })
  await check(t, 'what is not encrypted is an error too', async () => {
    await page.send('secret', { value: 'plain' })
    await client.send('secret', { value: 'plain' })
    await until('bob is told', async () => (await bob.ask('errors')).length === 2)
    assert.equal((await bob.messages()).length, specs.length)
  })
  await client.leave()
  for (const one of [alice, bob, mallory, page]) await one.close()
})
