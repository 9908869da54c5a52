import { styleText } from 'node:util'
import type { Host, Screen } from '../host.ts'

export interface Colours {
  good(text: string): string
  bad(text: string): string
  warn(text: string): string
  dim(text: string): string
  strong(text: string): string
  accent(text: string): string
}

type Style = Parameters<typeof styleText>[0]

/** Off for anything but a terminal, for `NO_COLOR` (no-color.org) and for terminals that cannot. */
export function coloursFor(screen: Screen, env: Host['env']): Colours {
  const on = screen.isTerminal && !env['NO_COLOR'] && env['TERM'] !== 'dumb'
  const paint = (style: Style) => (text: string) => (on ? styleText(style, text, { validateStream: false }) : text)
  return {
    good: paint('green'),
    bad: paint('red'),
    warn: paint('yellow'),
    dim: paint('dim'),
    strong: paint('bold'),
    accent: paint('cyan'),
  }
}
