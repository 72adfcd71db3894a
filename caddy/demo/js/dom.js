// Making elements. Text goes in as text nodes, never as HTML.

/** el('p', { class: 'note', title: 'x', onclick: f }, 'text', element): undefined properties and children are left out. */
export function el(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children)
}

/** The same for SVG. */
export function svg(tag, props = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), props, children)
}

/** One of the icons at the top of index.html. */
export function icon(name, props = {}) {
  return svg('svg', { class: 'icon', 'aria-hidden': 'true', ...props }, svg('use', { href: `#i-${name}` }))
}

export const byId = (id) => document.getElementById(id)

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined) continue
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
    else element.setAttribute(name, value)
  }
  element.append(...children.flat().filter((child) => child !== undefined))
  return element
}
