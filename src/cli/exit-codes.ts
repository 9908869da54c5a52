/** How a command ends; scripts rely on these. */
export const EXIT = {
  done: 0,
  failed: 1,
  wrongUsage: 2,
  /** Done, but something needs a person: a dead letter, a refused record, an unknown outcome. */
  needsPerson: 3,
  /** Ctrl-C, as shells report it (128 + SIGINT). Nothing is lost; the same command goes on. */
  interrupted: 130,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]
