/** As much of a Dockerfile as ours uses: one instruction per line, `\` at its end, comments, JSON forms. */
export interface Instruction {
  readonly name: string
  /** Everything after the name, on one line. */
  readonly text: string
  /** Without flags such as `--from=`; of a JSON form, its elements. */
  readonly words: readonly string[]
  readonly flags: Readonly<Record<string, string>>
  readonly isExecForm: boolean
}

export interface Stage {
  readonly base: string
  /** Empty where it has none. */
  readonly name: string
  readonly instructions: readonly Instruction[]
}

export function instructionsOf(text: string): Instruction[] {
  return text
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map(instructionOf)
}

export function stagesOf(instructions: readonly Instruction[]): Stage[] {
  const stages: { base: string; name: string; instructions: Instruction[] }[] = []
  for (const instruction of instructions) {
    const [base = '', , name = ''] = instruction.words
    if (instruction.name === 'FROM') stages.push({ base, name, instructions: [] })
    else stages.at(-1)?.instructions.push(instruction)
  }
  return stages
}

function instructionOf(line: string): Instruction {
  const [, name = '', text = ''] = /^(\S+)\s+(.*)$/.exec(line) ?? []
  const isExecForm = text.startsWith('[')
  const all = isExecForm ? (JSON.parse(text) as string[]) : text.split(/\s+/)
  const count = isExecForm ? 0 : all.findIndex((word) => !word.startsWith('--'))
  const flags = Object.fromEntries(all.slice(0, count).map((flag) => flag.slice(2).split('=', 2) as [string, string]))
  return { name, text, words: all.slice(count), flags, isExecForm }
}
