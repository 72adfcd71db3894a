// The two views of the page, the people panel on narrow screens, and the title.

import { byId } from './dom.js'

const views = { '#chat': 'view-chat', '#connect': 'view-connect' }
const title = document.title
let unread = 0

export function startViews() {
  addEventListener('hashchange', showView)
  showView()

  const toggle = byId('people-toggle')
  const open = (state) => {
    toggle.setAttribute('aria-expanded', state)
    byId('people').classList.toggle('open', state)
  }
  toggle.addEventListener('click', () => {
    const wasOpen = toggle.getAttribute('aria-expanded') === 'true' && location.hash !== '#connect'
    if (location.hash === '#connect') location.hash = '#chat'
    open(!wasOpen)
  })
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') open(false)
  })
  byId('log').addEventListener('pointerdown', () => open(false))
  byId('text').addEventListener('focus', () => open(false))

  document.addEventListener('visibilitychange', () => {
    if (document.hidden) return
    unread = 0
    document.title = title
  })
}

/** Something was said; tell it in the title if nobody looks. */
export function noteUnread() {
  if (document.hidden) document.title = `(${++unread}) ${title}`
}

function showView() {
  const hash = location.hash in views ? location.hash : '#chat'
  for (const [name, id] of Object.entries(views)) byId(id).hidden = name !== hash
  for (const link of document.querySelectorAll('.tabs a')) {
    if (link.getAttribute('href') === hash) link.setAttribute('aria-current', 'page')
    else link.removeAttribute('aria-current')
  }
}
