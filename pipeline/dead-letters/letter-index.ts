/** Which letters there are, in a few bytes each: what `ls` counts and `replay` chooses from. */
import { type Letter, letterId } from './letter.ts'
import { type LetterFilter, type LetterVisitor, matches } from './letter-scan.ts'

type Entry = Readonly<{ partition: number; offset: number; atMs: number; group: number }>

export type LetterGroup = Readonly<{
  reason: string
  stage: string
  letters: number
  /** So many of them were replayed. */
  replayed: number
  oldestMs: number
  newestMs: number
  /** The newest letter, as `show` and `replay` take it. */
  newest: string
}>

export class LetterIndex implements LetterVisitor {
  readonly #filter: LetterFilter
  readonly #groups = new Map<string, Readonly<{ index: number; reason: string; stage: string }>>()
  readonly #entries: Entry[] = []
  readonly #replayed = new Map<number, Set<number>>()

  constructor(filter: LetterFilter) {
    this.#filter = filter
  }

  letter(letter: Letter): void {
    if (!matches(this.#filter, letter)) return
    const { partition, offset, atMs, reason, stage } = letter
    const name = `${reason} ${stage}`
    const group = this.#groups.get(name) ?? { index: this.#groups.size, reason, stage }
    this.#groups.set(name, group)
    this.#entries.push({ partition, offset, atMs, group: group.index })
  }

  replayed(partition: number, offsets: readonly number[]): void {
    const known = this.#replayed.get(partition) ?? new Set()
    for (const offset of offsets) known.add(offset)
    this.#replayed.set(partition, known)
  }

  /** By reason and stage, the newest first. */
  groups(): LetterGroup[] {
    const groups = [...this.#groups.values()].map(({ reason, stage }) => ({
      ...{ reason, stage, letters: 0, replayed: 0 },
      oldestMs: Infinity,
      ...{ newestMs: 0, newest: '' },
    }))
    for (const entry of this.#entries) {
      const group = groups[entry.group]
      if (group === undefined) continue
      group.letters += 1
      if (this.#wasReplayed(entry)) group.replayed += 1
      group.oldestMs = Math.min(group.oldestMs, entry.atMs)
      if (entry.atMs >= group.newestMs) {
        group.newestMs = entry.atMs
        group.newest = letterId(entry)
      }
    }
    return groups.sort((a, b) => b.newestMs - a.newestMs)
  }

  /** The oldest letters that no replay named, by partition. */
  unreplayed(limit: number): Map<number, Set<number>> {
    const waiting = this.#entries.filter((entry) => !this.#wasReplayed(entry))
    if (waiting.length > limit) waiting.sort((a, b) => a.atMs - b.atMs || a.offset - b.offset)
    const chosen = new Map<number, Set<number>>()
    for (const { partition, offset } of waiting.slice(0, limit)) {
      const offsets = chosen.get(partition) ?? new Set()
      chosen.set(partition, offsets.add(offset))
    }
    return chosen
  }

  #wasReplayed({ partition, offset }: Entry): boolean {
    return this.#replayed.get(partition)?.has(offset) === true
  }
}
