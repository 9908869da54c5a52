import { printable, shorten } from './printable.ts'

export interface Column<Row> {
  readonly title: string
  readonly value: (row: Row) => string | number
  /** Painted after it is padded, so that colours do not count as width. */
  readonly paint?: (text: string, row: Row) => string
  readonly align?: 'left' | 'right'
  /** The one column that gives way where the line is too narrow. */
  readonly flexible?: boolean
}

const GAP = '  '
const NARROWEST = 12

/** Lines of a table without frames: easy to read, to copy and to cut. */
export function table<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  options: { readonly width: number; readonly heading: (text: string) => string },
): string {
  const cells = rows.map((row) => columns.map((column) => printable(String(column.value(row)))))
  const widths = columnWidths(columns, cells, options.width)
  const heading = columns.map((column, index) => pad(column.title, widths[index] as number, column.align))
  const lines = cells.map((line, rowIndex) =>
    columns
      .map((column, index) => {
        const width = widths[index] as number
        const text = pad(shorten(line[index] as string, width), width, column.align)
        return column.paint ? column.paint(text, rows[rowIndex] as Row) : text
      })
      .join(GAP)
      .trimEnd(),
  )
  return [options.heading(heading.join(GAP).trimEnd()), ...lines].join('\n')
}

function columnWidths<Row>(columns: readonly Column<Row>[], cells: readonly string[][], width: number): number[] {
  const widths = columns.map((column, index) =>
    cells.reduce((widest, line) => Math.max(widest, lengthOf(line[index] as string)), lengthOf(column.title)),
  )
  const total = widths.reduce((sum, each) => sum + each, GAP.length * (columns.length - 1))
  const flexible = columns.findIndex((column) => column.flexible)
  if (total > width && flexible >= 0) {
    widths[flexible] = Math.max(NARROWEST, (widths[flexible] as number) - (total - width))
  }
  return widths
}

function pad(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const blanks = ' '.repeat(Math.max(0, width - lengthOf(text)))
  return align === 'right' ? blanks + text : text + blanks
}

function lengthOf(text: string): number {
  return [...text].length
}
