// The state of the connection: a word in the header, and a sentence above the composer when it matters.

import { byId } from './dom.js'

const words = { connecting: 'Connecting', open: 'Connected', reconnecting: 'Reconnecting', ended: 'Disconnected' }

let ticking

/** Shows when the client tries again to reach the server. */
export function showWaiting({ next }) {
  const seconds = next === undefined ? 0 : Math.ceil((next - Date.now()) / 1000)
  const when = seconds > 0 ? `Next try in ${seconds} s.` : 'Trying now.'
  showStatus('reconnecting', `Messages and files wait here, and go on when the server is back. ${when}`)
  if (seconds > 0) ticking = setTimeout(showWaiting, 1000, { next })
}

/** Shows a state of `words`, and says what it means for who talks. */
export function showStatus(state, sentence = '') {
  clearTimeout(ticking)
  const status = byId('status')
  status.dataset.state = state
  status.querySelector('.status-text').textContent = words[state]
  byId('notice').hidden = sentence === ''
  byId('notice').classList.toggle('bad', state === 'ended')
  byId('notice-text').textContent = sentence
  byId('notice-retry').hidden = state !== 'ended'
}

byId('notice-retry').addEventListener('click', () => location.reload())
