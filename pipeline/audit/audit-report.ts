/** What an audit found, for people: a line for each tenant and hour, then sentences. Pure. */
import type { AuditResult } from './audit-run.ts'
import { emptyTally, type Finding, type HourTally } from './hour-tally.ts'
import { terminalText } from './terminal-text.ts'

/** As programs get it: sums of everything, dead letters as an object. */
type TallyJson = Readonly<
  Omit<HourTally, 'deadLetters'> & { deadLetters: Readonly<Record<string, number>> }
>

export const tallyJson = (tally: HourTally): TallyJson => ({
  ...tally,
  deadLetters: Object.fromEntries(tally.deadLetters),
})

export function totalOf(tallies: readonly HourTally[]): HourTally {
  const total = emptyTally('', 0)
  for (const tally of tallies) addTo(total, tally)
  return total
}

export function addTo(total: HourTally, tally: HourTally): void {
  for (const name of SUMMED) total[name] += tally[name]
  for (const [reason, count] of tally.deadLetters) {
    total.deadLetters.set(reason, (total.deadLetters.get(reason) ?? 0) + count)
  }
}

export const SUMMED = [
  ...(['records', 'unreadable', 'produced', 'duplicates', 'refused', 'stored'] as const),
  ...(['missing', 'invented', 'altered', 'lettersMissing', 'corrected'] as const),
  ...(['seriesChecked', 'windowsChecked', 'windowsWrong'] as const),
  ...(['numbersPresent', 'numbersMissing'] as const),
] as const

type Column = Readonly<{ head: string; of: (tally: HourTally) => number; always: boolean }>

const COLUMNS: readonly Column[] = [
  { head: 'records', of: (t) => t.records, always: true },
  { head: 'samples', of: (t) => t.produced, always: true },
  { head: 'stored', of: (t) => t.stored, always: true },
  { head: 'duplicates', of: (t) => t.duplicates, always: true },
  { head: 'dead-lettered', of: (t) => t.refused, always: true },
  { head: 'missing', of: (t) => t.missing, always: true },
  { head: 'invented', of: (t) => t.invented, always: true },
  { head: 'altered', of: (t) => t.altered, always: false },
  { head: 'unreadable', of: (t) => t.unreadable, always: false },
  { head: 'letters', of: lettersOf, always: false },
  { head: 'corrected', of: (t) => t.corrected, always: true },
  { head: 'windows', of: (t) => t.windowsChecked, always: true },
  { head: 'wrong', of: (t) => t.windowsWrong, always: true },
  { head: 'numbered', of: (t) => t.numbersPresent, always: false },
  { head: 'gaps', of: (t) => t.numbersMissing, always: false },
]

function lettersOf({ deadLetters }: HourTally): number {
  let count = 0
  for (const each of deadLetters.values()) count += each
  return count
}

/** Lines of the table, notes and findings, each with its line break. */
export function reportText({ cut, tallies, findings, findingCount }: AuditResult): string {
  const lines = [
    `Audit of what arrived from ${minute(cut.fromMs)} to ${minute(cut.toMs)} UTC.`,
    '',
    ...tableOf(tallies),
    '',
    ...notesOf({ cut, tallies }),
    ...findings.map((finding) => `  ${sentenceOf(finding)}`),
  ]
  const more = findingCount - findings.length
  if (more > 0) lines.push(`  and ${grouped(more)} more of the same kinds.`)
  lines.push(verdictOf(totalOf(tallies), findingCount))
  return `${lines.join('\n')}\n`
}

function tableOf(tallies: readonly HourTally[]): readonly string[] {
  if (tallies.length === 0) return ['Nothing arrived in it.']
  const total = totalOf(tallies)
  const columns = COLUMNS.filter(({ of, always }) => always || of(total) > 0)
  const row = (hour: string, tenant: string, tally: HourTally): string[] => [
    ...[hour, tenant],
    ...columns.map(({ of }) => grouped(of(tally))),
  ]
  const rows = [
    ['hour (UTC)', 'tenant', ...columns.map(({ head }) => head)],
    ...tallies.map((tally) =>
      row(minute(tally.hourMs), terminalText(tally.tenant) || '(none)', tally),
    ),
    ...(tallies.length > 1 ? [row('all', '', total)] : []),
  ]
  const widths = (rows[0] ?? []).map((_, at) =>
    rows.reduce((width, cells) => Math.max(width, cells[at]?.length ?? 0), 0),
  )
  return rows.map((cells) =>
    cells
      .map((cell, at) => (at < 2 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join('  ')
      .trimEnd(),
  )
}

function notesOf({ cut, tallies }: Pick<AuditResult, 'cut' | 'tallies'>): readonly string[] {
  const notes: string[] = []
  const letters = totalOf(tallies).deadLetters
  if (letters.size > 0) {
    const counts = [...letters].map(
      ([reason, count]) => `${grouped(count)} ${terminalText(reason)}`,
    )
    notes.push(`Dead letters: ${counts.join(', ')}.`)
  }
  if (cut.openRecords > 0) {
    notes.push(
      `${grouped(cut.openRecords)} records are beyond what the pipeline has committed: left out.`,
    )
  }
  if (cut.truncatedHours.length > 0) {
    const upTo = Math.max(...cut.truncatedHours)
    notes.push(`The log begins in or before the hour of ${minute(upTo)}: earlier records are gone.`)
  }
  return notes
}

const sentenceOf = ({ tenant, hourMs, text }: Finding): string =>
  `${minute(hourMs)} ${terminalText(`${tenant === '' ? '' : `${tenant}: `}${text}`)}.`

function verdictOf(total: HourTally, findingCount: number): string {
  if (findingCount > 0)
    return `${grouped(findingCount)} ${findingCount === 1 ? 'finding' : 'findings'}.`
  const { stored, seriesChecked, windowsChecked } = total
  return (
    `No findings: ${grouped(stored)} samples are stored once each, nothing is missing, and ` +
    `${grouped(windowsChecked)} windows of ${grouped(seriesChecked)} series are what their samples make.`
  )
}

const grouped = (count: number): string => count.toLocaleString('en')

const minute = (ms: number): string => new Date(ms).toISOString().slice(0, 16).replace('T', ' ')
