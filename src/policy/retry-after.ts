/** When a server wants us back, in every form seen in the wild (R046-R048, D11, facts.md section 1). */
export interface RetryAfter {
  /** From receipt of the answer; 0 or more; never above 31 days (absurd values are cut there, and say so in `note`). */
  readonly delayMs: number
  /** The header or body field it came from. */
  readonly source: string
  readonly note?: string
}

export declare function parseRetryAfter(
  headers: Readonly<Record<string, string>>,
  receivedAtMs: number,
): RetryAfter | undefined
