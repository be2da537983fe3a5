/**
 * Finds the record that kills the process, and no other. Pure: what is written where is
 * partition-journal.ts. A journal belongs to a partition and says what its owner was doing:
 *
 *   entered  b      it took the records of a batch up to b   written before and after each batch
 *   step     o      it took exactly this one                 only in single steps
 *
 * A process that comes after one that died inside a batch goes up to its end in single steps.
 * One that dies in a step is the first to name an offset; three deaths in a row at the same step
 * quarantine it. A SIGKILL names somebody only if it comes inside a step, and an innocent would
 * have to be hit so three times in a row, within microseconds each.
 */
import type { DeadLetterReason } from '../../schemas/dead-letter.ts'

export const CRASHES_MAX = 3
/** Older ones are forgotten first; each costs three crashes, so more means another kind of trouble. */
const QUARANTINED_MAX = 100

export type QuarantineReason = Extract<DeadLetterReason, 'crashed_process' | 'sink_refused'>
type Quarantined = Readonly<{ offset: number; reason: QuarantineReason; detail: string }>

export type JournalState = Readonly<{
  /** The last record of the batch that is being taken, or that somebody died in; -1: none. */
  enteredTo: number
  /** -1: none. */
  step: number
  /** The step of the latest crash, and how many crashes in a row were there. */
  blamed: Readonly<{ offset: number; crashes: number }>
  quarantined: readonly Quarantined[]
}>

export const EMPTY_JOURNAL: JournalState = {
  enteredTo: -1,
  step: -1,
  blamed: { offset: -1, crashes: 0 },
  quarantined: [],
}

/** What an owner begins with, after whatever happened to the one before it. */
export function reopened(state: JournalState, resumeOffset: number): JournalState {
  const kept = state.quarantined.filter(({ offset }) => offset >= resumeOffset)
  if (state.step < 0) return { ...state, quarantined: kept }
  const again = state.blamed.offset === state.step
  const blamed = { offset: state.step, crashes: again ? state.blamed.crashes + 1 : 1 }
  if (blamed.crashes < CRASHES_MAX) return { ...state, step: -1, blamed, quarantined: kept }
  const detail = `the process died ${blamed.crashes} times in a row while it took this record`
  const quarantined = withOffset(kept, { offset: state.step, reason: 'crashed_process', detail })
  return { ...state, step: -1, blamed: EMPTY_JOURNAL.blamed, quarantined }
}

/** Before the records up to `lastOffset` are taken; those up to `stepsTo` are under suspicion. */
export const entered = (state: JournalState, lastOffset: number, stepsTo: number) => ({
  ...state,
  enteredTo: Math.max(lastOffset, stepsTo),
  step: -1,
})

export const stepped = (state: JournalState, offset: number) => ({ ...state, step: offset })

/** After the records up to `passedTo` were taken: nobody may be blamed for what comes now. */
export const left = (state: JournalState, passedTo: number, stepsTo: number): JournalState => ({
  ...state,
  enteredTo: passedTo < stepsTo ? stepsTo : -1,
  step: -1,
  blamed: passedTo < state.blamed.offset ? state.blamed : EMPTY_JOURNAL.blamed,
})

export function withQuarantined(state: JournalState, one: Quarantined): JournalState {
  return { ...state, quarantined: withOffset(state.quarantined, one) }
}

function withOffset(list: readonly Quarantined[], one: Quarantined): readonly Quarantined[] {
  const others = list.filter(({ offset }) => offset !== one.offset)
  return [...others, one].slice(-QUARANTINED_MAX)
}

export const journalText = (state: JournalState): string => `${JSON.stringify(state)}\n`

/** Undefined when the text is not a journal: the owner then begins with an empty one. */
export function parseJournal(text: string): JournalState | undefined {
  const line = text.slice(0, Math.max(0, text.indexOf('\n')))
  try {
    const value: unknown = JSON.parse(line)
    return isJournal(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isJournal(value: unknown): value is JournalState {
  if (!isObject(value) || !isObject(value['blamed'])) return false
  const { enteredTo, step, blamed, quarantined } = value
  const numbers = [enteredTo, step, blamed['offset'], blamed['crashes']]
  return (
    numbers.every(Number.isSafeInteger) &&
    Array.isArray(quarantined) &&
    quarantined.every(
      (one: unknown) =>
        isObject(one) &&
        Number.isSafeInteger(one['offset']) &&
        typeof one['detail'] === 'string' &&
        (one['reason'] === 'crashed_process' || one['reason'] === 'sink_refused'),
    )
  )
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null
