// The view that says how other programs come into this room. Its addresses are those of this server.

import { byId, el, icon } from './dom.js'

const base = `${location.origin}/genosrtc`
const sockets = base.replace(/^http/, 'ws')
const relay = `${sockets}/relay`
const session = `${sockets}/rooms/demo/ws`

const genosdb = `import { gdb } from 'https://cdn.jsdelivr.net/npm/genosdb@latest/dist/index.js'
const db = await gdb('demo', { rtc: { relayUrls: ['${relay}'] } })
db.room.on('peer:join', (id) => db.room.channel('chat').send({ text: 'Hello from GenosDB' }, id))`

const plain = `import { join } from '${base}/client.js'

const room = await join('${base}', 'demo')
const chat = room.channel('chat')
chat.on('message', (data, peerId) => console.log(peerId, data.text))
await chat.send({ text: 'Hello from a plain page' })`

const terminal = `(echo '{"op":"hello"}'
 echo '{"op":"send","seq":1,"channel":"chat","data":{"text":"Hello","name":"Terminal"}}'
 cat) | websocat ${session}`

export function startGuide() {
  byId('view-connect').append(
    el(
      'div',
      { class: 'guide-body' },
      el(
        'section',
        { class: 'guide-lead' },
        el('h1', {}, 'Point a GenosDB app at this server'),
        el(
          'p',
          {},
          'Three lines, in any page. The relay is how browsers find each other; the server itself joins as a peer. Run it, and the page appears in the chat as a browser.',
        ),
        code('GenosDB', genosdb),
        el(
          'p',
          { class: 'guide-note' },
          'In an app that you have already, ',
          el('code', {}, 'relayUrls'),
          ' is the only change. Only the room ',
          el('code', {}, 'demo'),
          ' is open here; others are added in the Caddyfile.',
        ),
      ),
      el(
        'section',
        {},
        el('h2', {}, 'Without GenosDB'),
        el('p', {}, 'Programs without WebRTC come in over a WebSocket. For browsers they are peers like any other.'),
        code('A page', plain),
        code('A terminal', terminal, 'sh'),
      ),
      el(
        'section',
        {},
        el('h2', {}, 'Addresses'),
        el(
          'dl',
          { class: 'addresses' },
          address('Relay', relay, 'Nostr, for GenosDB’s relayUrls'),
          address('Session', session, 'JSON or MessagePack'),
          address('Client', `${base}/client.js`, 'an ES module, with types'),
        ),
        /^(localhost|127\.|\[::1\])/.test(location.hostname)
          ? el(
              'p',
              { class: 'guide-note' },
              'These addresses work on this machine only. Pages of other origins may use the relay; to open sessions they must be listed under ',
              el('code', {}, 'origins'),
              '.',
            )
          : el(
              'p',
              { class: 'guide-note' },
              'Pages of other origins may use the relay; to open sessions they must be listed under ',
              el('code', {}, 'origins'),
              ' in the Caddyfile.',
            ),
      ),
    ),
  )
}

function address(name, url, means) {
  return el(
    'div',
    { class: 'address' },
    el('dt', {}, name, el('span', {}, means)),
    el('dd', {}, el('code', {}, url), copyButton(url, name)),
  )
}

function code(name, text, language = 'js') {
  return el(
    'figure',
    { class: 'code' },
    el('figcaption', {}, name, copyButton(text, name)),
    el('pre', { tabindex: '0' }, el('code', {}, language === 'js' ? coloured(text) : text)),
  )
}

function copyButton(text, what) {
  const word = el('span', {}, 'Copy')
  const sign = el('span', { class: 'copy-sign' }, icon('copy'))
  return el(
    'button',
    {
      class: 'copy',
      type: 'button',
      'aria-label': `Copy: ${what}`,
      onclick: () => copy().then(said, () => (word.textContent = 'Select and copy by hand')),
    },
    sign,
    word,
  )

  async function copy() {
    await navigator.clipboard.writeText(text)
  }
  function said() {
    word.textContent = 'Copied'
    sign.replaceChildren(icon('check'))
    setTimeout(() => {
      word.textContent = 'Copy'
      sign.replaceChildren(icon('copy'))
    }, 1600)
  }
}

// Strings and keywords in colours of their own.
function coloured(text) {
  return text.split(/('[^']*'|\b(?:import|from|const|await)\b)/).map((part, at) => {
    if (at % 2 === 0) return part
    return el('span', { class: part.startsWith("'") ? 'string' : 'keyword' }, part)
  })
}
