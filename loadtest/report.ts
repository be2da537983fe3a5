/** What a long command leaves on standard output: a table for people, JSON as the last line. */
export type Cell = string | number
export type Row = readonly Cell[]

/** The first row is the head. Numbers lean right. */
export function printTable(rows: readonly Row[]): void {
  const texts = rows.map((row) => row.map(cellText))
  const widths = (texts[0] ?? []).map((_, column) =>
    Math.max(...texts.map((row) => row[column]?.length ?? 0)),
  )
  for (const [index, row] of texts.entries()) {
    const cells = row.map((text, column) => {
      const width = widths[column] ?? 0
      return typeof rows[index]?.[column] === 'number' ? text.padStart(width) : text.padEnd(width)
    })
    process.stdout.write(`${cells.join('  ').trimEnd()}\n`)
  }
}

export function printJson(result: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(result)}\n`)
}

/** Thousands grouped, at most three digits after the point. */
const cellText = (cell: Cell): string =>
  typeof cell === 'number' ? cell.toLocaleString('en', { maximumFractionDigits: 3 }) : cell

/** The value below which `share` of the sorted values lie; NaN for none. */
export function quantile(sorted: readonly number[], share: number): number {
  const index = Math.min(sorted.length - 1, Math.floor(share * sorted.length))
  return sorted[index] ?? Number.NaN
}

export const median = (values: readonly number[]): number =>
  quantile(
    [...values].sort((a, b) => a - b),
    0.5,
  )
