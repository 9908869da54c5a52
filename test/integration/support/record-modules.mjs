// Loaded with `node --import`: tells at the end which modules a program has loaded, one address per line, on stderr.
import { registerHooks } from 'node:module'

const loaded = new Set()

registerHooks({
  load(url, context, next) {
    loaded.add(url)
    return next(url, context)
  },
})

process.on('exit', () => process.stderr.write([...loaded].map((url) => `${url}\n`).join('')))
