// The demo page: joins room `demo` of the server it came from, and puts the parts together.

import { startComposer } from './composer.js'
import { byId } from './dom.js'
import { startGuide } from './guide.js'
import { Incoming } from './incoming.js'
import { bubble, Log, mark, rawBubble } from './log.js'
import { showMap, spark } from './map.js'
import { myName } from './me.js'
import { Outgoing } from './outgoing.js'
import { nameOf, People } from './people.js'
import { showRoster, startPings } from './roster.js'
import { showStatus, showWaiting } from './status.js'
import { noteUnread, startViews } from './views.js'

const server = '/genosrtc'

const people = new People()
const log = new Log()
const outgoing = new Outgoing(log, people)
const incoming = new Incoming(log, people)
const pings = new Map()
let connected = false
let drawing = false
let expected = new Set() // who was here already, and so does not arrive anew
let renewed = false // between the loss of a session and the next one

startViews()
startGuide()
people.self.name = myName()

const ready = joinRoom()
startComposer({
  onText: sayText,
  onFiles: (files) => files.forEach((file) => outgoing.send(file, ready)),
  onName: (name) => {
    people.self.name = name
    show()
  },
})
show()

async function joinRoom() {
  const { join } = await import(`${server}/client.js`).catch(() => stay('This server does not answer at /genosrtc.'))
  for (;;) {
    try {
      const room = await join(server, 'demo')
      listen(room)
      return room
    } catch (error) {
      if (error.code !== 'timeout') return stay(`The server refused: ${error.message}.`)
      showStatus('connecting', 'The server does not answer yet. Still trying.')
    }
  }
}

// Nothing more will happen on this page.
function stay(sentence) {
  showStatus('ended', sentence)
  return new Promise(() => {})
}

function listen(room) {
  const chat = room.channel('chat')
  const file = room.channel('file')

  const up = (id) => {
    connected = true
    people.self.id = id
    showStatus('open')
  }
  up(room.id)
  for (const [id, { type }] of Object.entries(room.getPeers())) people.join(id, type)
  expected = new Set(people.present.keys())
  startPings(room, people, pings, show)
  show()

  room.on('state', (state) => {
    if (state.status === 'reconnecting') showWaiting(state)
  })
  room.on('open', (id) => {
    up(id)
    renewed = false
    log.event('Connected again')
    show()
  })
  room.on('session:lost', () => {
    renewed = true
    expected = new Set(people.present.keys())
    log.event('We were away for too long: messages may be missing')
  })
  room.on('close', ({ final, error }) => {
    if (connected) log.event('The connection was lost')
    connected = false
    if (final) showStatus('ended', `The server refused: ${error?.message ?? 'the room was left'}.`)
    show()
  })
  room.on('peer:join', (id, type) => {
    const person = people.join(id, type)
    if (!expected.delete(id)) log.event(`${nameOf(person)} joined`)
    show()
  })
  room.on('peer:leave', (id) => {
    const person = people.of(id)
    outgoing.peerLeft(person)
    incoming.peerLeft(person)
    if (room.state.status === 'closed') return // the roster stays as it was, in grey
    people.leave(id)
    if (!renewed) log.event(`${nameOf(person)} left`)
    show()
  })
  room.on('result', (undelivered) => outgoing.result(undelivered))

  chat.on('message', (data, peerId) => {
    if (typeof data?.name === 'string' && data.name.trim()) people.call(peerId, data.name.trim().slice(0, 32))
    const text = typeof data === 'string' ? data : data?.text
    log.say(people.of(peerId), false, typeof text === 'string' ? bubble(text.slice(0, 10_000)) : rawBubble(data))
    heard(peerId)
  })
  file.on('transfer', (transfer) => incoming.begin(transfer))
  file.on('progress', (fraction, peerId, meta) => incoming.progress(fraction, peerId, meta))
  file.on('message', (data, peerId, meta) => {
    if (!(data instanceof Uint8Array)) return
    incoming.arrive(data, peerId, meta)
    heard(peerId)
  })
}

async function sayText(text) {
  const entry = log.say(people.self, true, bubble(text))
  mark(entry, 'waiting')
  try {
    const room = await ready
    const sending = room.channel('chat').send({ text, name: people.self.name, at: Date.now() })
    if (connected) spark(people.self.id, people.present.keys())
    await sending
    mark(entry, 'sent')
  } catch (error) {
    mark(entry, 'failed', `Not sent: ${error.message}`)
  }
}

function heard(peerId) {
  noteUnread()
  spark(peerId, [people.self.id])
  show()
}

// Draws at most once a frame, however much has changed.
function show() {
  if (drawing) return
  drawing = true
  requestAnimationFrame(() => {
    drawing = false
    byId('people').classList.toggle('offline', !connected)
    showRoster(people, pings)
    showMap(people)
  })
}
