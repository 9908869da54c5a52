/** Asks now and then. Ends at most this much late, which is little beside the second or more that is measured. */
const ASK_EVERY_MS = 10

export async function untilTrue(ask: () => Promise<boolean>): Promise<void> {
  while (!(await ask())) await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS))
}
