/**
 * How items are found in their runs: a run has the number of its first item, and its other items follow it without a gap.
 */

/** Joins the items of runs: `runs r CROSS JOIN items i ON ...` (CROSS, so that the run is found first). */
export const ITEMS_OF_RUNS = 'i.no >= r.no AND i.no < r.no + r.item_count'

/** For a statement over `items`: those of one run, whose number is the parameter. */
export function itemsOfRun(parameter: string): string {
  return `no >= ${parameter} AND no < ${parameter} + (SELECT r.item_count FROM runs r WHERE r.no = ${parameter})`
}
