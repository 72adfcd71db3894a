// A CommonJS package as one script for a page, which has no require.

import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'

/** script is JavaScript whose value is the exports of a package that needs nothing of Node. */
export async function script(name) {
  const modules = new Map()
  const add = async (from, wanted) => {
    // The slash has it be the package, where Node has a module of its own by that name.
    const require = createRequire(from)
    const file = require.resolve(/^[.@]|\//.test(wanted) ? wanted : `${wanted}/`)
    if (modules.has(file)) return file
    modules.set(file, '')
    const source = await readFile(file, 'utf8')
    const found = {}
    for (const [, name] of source.matchAll(/require\(["']([^"']+)["']\)/g)) found[name] = await add(file, name)
    modules.set(file, `[${JSON.stringify(found)}, (require, module, exports) => {${source}\n}]`)
    return file
  }
  const first = await add(import.meta.filename, name)
  const all = [...modules].map(([file, module]) => `${JSON.stringify(file)}: ${module}`).join(',\n')
  return `(() => {
    const all = {${all}}, loaded = {}
    const load = (file) => {
      if (!loaded[file]) {
        const module = (loaded[file] = { exports: {} })
        const [names, run] = all[file]
        run((name) => load(names[name]), module, module.exports)
      }
      return loaded[file].exports
    }
    return load(${JSON.stringify(first)})
  })()`
}
