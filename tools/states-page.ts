import { ITEM_STATES, type ItemState, isEndState, LEGAL_TRANSITIONS } from '../src/core/item-state.ts'

/** The page about states and transitions, made from the one table that the store enforces. */
export function statesPage(): string {
  const arrows = ITEM_STATES.flatMap((from) => transitionsOf(from).map(([to]) => `  ${from} --> ${to}`))
  const ends = ITEM_STATES.filter(isEndState).map((state) => `  ${state} --> [*]`)
  const rows = ITEM_STATES.flatMap((from) =>
    transitionsOf(from).map(([to, why]) => `| \`${from}\` | \`${to}\` | ${why} |`),
  )
  return `# States of an item

Made from \`src/core/item-state.ts\` by \`node tools/state-diagram.ts\`. The store refuses every other transition.

\`\`\`mermaid
stateDiagram-v2
  [*] --> waiting
  [*] --> queued
${arrows.join('\n')}
${ends.join('\n')}
\`\`\`

| from | to | when |
| --- | --- | --- |
${rows.join('\n')}
`
}

function transitionsOf(from: ItemState): [ItemState, string][] {
  return Object.entries(LEGAL_TRANSITIONS[from]) as [ItemState, string][]
}
