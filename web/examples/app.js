// A chat and a shared cursor, written for GenosDB's `db.room`. Which `gdb` it is given is all that
// tells websocket.html from genosdb.html.

export async function start(gdb) {
  const relay = new URL('/genosrtc/relay', location.href.replace(/^http/, 'ws')).href
  const db = await gdb('demo', { rtc: { relayUrls: [relay] } })
  const { room } = db

  const people = document.getElementById('people')
  const count = () => (people.textContent = Object.keys(room.getPeers()).length)
  room.on('peer:join', count)
  room.on('peer:leave', count)
  count()

  startChat(room.channel('chat'))
  startCursors(room.channel('cursor'), room)
  document.body.dataset.id = db.selfId
}

function startChat(chat) {
  const said = document.getElementById('said')
  const text = document.getElementById('text')
  const show = (name, words) => {
    const line = document.createElement('li')
    line.append(Object.assign(document.createElement('b'), { textContent: name }), ` ${words}`)
    said.append(line)
    line.scrollIntoView({ block: 'nearest' })
  }

  chat.on('message', ({ text }, peerId) => show(peerId.slice(0, 5), text))
  text.form.addEventListener('submit', (event) => {
    event.preventDefault()
    chat.send({ text: text.value })
    show('me', text.value)
    text.value = ''
  })
}

function startCursors(cursor, room) {
  const board = document.getElementById('board')
  const arrows = new Map() // by peer id
  let mine // where the pointer is, until it is sent

  // Positions are fractions of the board, and sent once a frame at most.
  board.addEventListener('pointermove', ({ clientX, clientY }) => {
    const { left, top, width, height } = board.getBoundingClientRect()
    if (!mine) requestAnimationFrame(() => (cursor.send(mine), (mine = undefined)))
    mine = { x: (clientX - left) / width, y: (clientY - top) / height }
  })
  cursor.on('message', ({ x, y }, peerId) => {
    let arrow = arrows.get(peerId)
    if (!arrow) {
      arrow = Object.assign(document.createElement('span'), { className: 'cursor', textContent: peerId.slice(0, 5) })
      arrow.dataset.peer = peerId
      arrows.set(peerId, arrow)
      board.append(arrow)
    }
    arrow.style.left = `${100 * x}%`
    arrow.style.top = `${100 * y}%`
  })
  room.on('peer:leave', (peerId) => {
    arrows.get(peerId)?.remove()
    arrows.delete(peerId)
  })
}
