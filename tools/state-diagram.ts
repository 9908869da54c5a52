/** Writes docs/states.md from the table of legal transitions; a test checks that it is up to date. */
import { writeFileSync } from 'node:fs'
import { statesPage } from './states-page.ts'

writeFileSync(new URL('../docs/states.md', import.meta.url), statesPage())
