// Where messages are written and files are chosen.

import { byId } from './dom.js'
import { myName, setMyName } from './me.js'

/** Calls onText(text), onFiles(files) and onName(name). */
export function startComposer({ onText, onFiles, onName }) {
  const [form, text, name, files, drop] = ['composer', 'text', 'name', 'files', 'drop'].map(byId)

  form.addEventListener('submit', (event) => {
    event.preventDefault()
    const said = text.value.trim()
    text.value = ''
    grow()
    text.focus()
    if (said) onText(said)
  })
  text.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
    event.preventDefault()
    form.requestSubmit()
  })

  // Browsers that know field-sizing do this by themselves.
  const grow = () => {
    if (CSS.supports('field-sizing', 'content')) return
    text.style.height = 'auto'
    text.style.height = `${text.scrollHeight}px`
  }
  text.addEventListener('input', grow)

  // Not on touch screens, where a keyboard would cover half of the page.
  if (matchMedia('(pointer: fine)').matches) text.focus()

  name.value = myName()
  name.addEventListener('change', () => {
    name.value = name.value.trim() || myName()
    onName(setMyName(name.value))
  })
  name.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter') return
    event.preventDefault()
    text.focus()
  })

  byId('attach').addEventListener('click', () => files.click())
  files.addEventListener('change', () => {
    onFiles([...files.files])
    files.value = ''
  })
  text.addEventListener('paste', (event) => {
    if (event.clipboardData.files.length === 0) return
    event.preventDefault()
    onFiles([...event.clipboardData.files])
  })

  const carriesFiles = (event) => event.dataTransfer?.types.includes('Files')
  document.addEventListener('dragover', (event) => {
    if (!carriesFiles(event)) return
    event.preventDefault()
    drop.hidden = false
  })
  document.addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) drop.hidden = true
  })
  document.addEventListener('drop', (event) => {
    drop.hidden = true
    if (!carriesFiles(event)) return
    event.preventDefault()
    onFiles([...event.dataTransfer.files])
  })
}
