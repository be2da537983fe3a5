/** "Did you mean": the closest of some known names, for flags and commands that were mistyped. */

/** The known name with the fewest edits to `typed`; undefined when none is close enough. */
export function nearestName(typed: string, known: readonly string[]): string | undefined {
  // More than a third of the letters wrong is another word, not a slip.
  let bestEdits = Math.max(1, Math.floor(typed.length / 3)) + 1
  let best: string | undefined
  for (const name of known) {
    const edits = editDistance(typed, name)
    if (edits >= bestEdits) continue
    bestEdits = edits
    best = name
  }
  return best
}

/** Levenshtein distance, one row of the matrix at a time. */
export function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= to.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[to.length] ?? 0
}
