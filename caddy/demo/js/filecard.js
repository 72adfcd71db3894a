// How a file looks in the log, while it travels and after.

import { el, icon } from './dom.js'
import { bytes } from './format.js'

// What an <img> shows without running anything. SVG is not among them.
const pictures = /^image\/(png|jpeg|gif|webp|avif|bmp)$/

export class FileCard {
  bar = el('progress', { max: '1' })
  state = el('p', { class: 'file-state' })
  end = el('span')
  urls = []

  constructor({ name, type, size }) {
    this.about = { name, type, size }
    this.element = el(
      'div',
      { class: 'file' },
      el('span', { class: 'file-icon' }, icon('file')),
      el('div', { class: 'file-text' }, el('p', { class: 'file-name', title: name }, name), this.state),
      this.end,
      this.bar,
    )
    this.bar.setAttribute('aria-label', name)
  }

  /** Shows how far it is; without a fraction, that it is under way. */
  progress(text, fraction) {
    this.tell(text)
    this.bar.hidden = false
    if (fraction === undefined) this.bar.removeAttribute('value')
    else this.bar.value = fraction
  }

  /** Offers to end it, as long as it is under way. */
  cancel(onCancel) {
    const label = `Cancel ${this.about.name}`
    this.button = el('button', { class: 'round', type: 'button', 'aria-label': label, title: 'Cancel', onclick: onCancel }, icon('cross'))
    this.end.replaceChildren(this.button)
  }

  done(text) {
    this.tell(text)
    this.bar.hidden = true
    this.button?.remove()
  }

  fail(text) {
    this.done(text)
    this.state.classList.add('bad')
  }

  tell(text) {
    this.state.textContent = this.about.size === undefined ? text : `${bytes(this.about.size)} · ${text}`
    this.state.classList.remove('bad')
  }

  /** Shows a picture of the file, if it is one. */
  picture(blob) {
    if (!pictures.test(this.about.type)) return
    const image = el('img', { src: this.link(blob.slice(0, blob.size, this.about.type)), alt: this.about.name })
    const frame = el('div', { class: 'file-thumb' }, image)
    image.addEventListener('error', () => frame.remove())
    this.element.prepend(frame)
  }

  /** Offers the file for download. Its type is left out, so that no browser opens it as a page of ours. */
  download(blob) {
    const href = this.link(blob.slice(0, blob.size, 'application/octet-stream'))
    this.end.replaceChildren(
      el('a', { class: 'round', href, download: this.about.name, 'aria-label': `Save ${this.about.name}`, title: 'Save' }, icon('down')),
    )
  }

  link(blob) {
    const url = URL.createObjectURL(blob)
    this.urls.push(url)
    return url
  }

  /** Frees the memory behind its links. */
  release() {
    this.urls.forEach(URL.revokeObjectURL)
  }
}
