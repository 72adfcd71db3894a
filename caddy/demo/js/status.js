// The state of the connection: a word in the header, and a sentence above the composer when it matters.

import { byId } from './dom.js'

const words = { connecting: 'Connecting', open: 'Connected', reconnecting: 'Reconnecting', ended: 'Disconnected' }

/** Shows a state of `words`, and says what it means for who talks. */
export function showStatus(state, sentence = '') {
  const status = byId('status')
  status.dataset.state = state
  status.querySelector('.status-text').textContent = words[state]
  byId('notice').hidden = sentence === ''
  byId('notice').classList.toggle('bad', state === 'ended')
  byId('notice-text').textContent = sentence
  byId('notice-retry').hidden = state !== 'ended'
}

byId('notice-retry').addEventListener('click', () => location.reload())
