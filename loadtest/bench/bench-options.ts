/** Options and output that every bench shares. */
import { median, printTable } from '../report.ts'
import { DRIFT_MAX, type MeasuredRound } from './measured-round.ts'

export const BENCH_OPTIONS = {
  stack: {
    kind: 'text',
    default: '',
    doc: 'Description of a running system to measure (.weir/local.json); empty: one of its own.',
  },
  serversDir: {
    kind: 'text',
    default: '',
    doc: 'Where downloaded servers are kept; empty: .weir/servers of this checkout.',
  },
  rounds: { kind: 'integer', default: 3, min: 1, max: 100, doc: 'Rounds; medians are reported.' },
  seed: { kind: 'text', default: 'weir', doc: 'Names the random course of the load.' },
  json: { kind: 'switch', default: false, doc: 'Print one JSON object as the last line.' },
} as const

export type CpuReport = Readonly<{
  /** CPU seconds per million messages, by server: the median of the rounds. */
  cpuSPerMillion: Readonly<Record<string, number>>
  residentMiB: Readonly<Record<string, number>>
  peakMiB: Readonly<Record<string, number>>
  generatorCpuSPerMillion: number
  messagesPerS: number
  rounds: number
  /** Rounds in which the machine changed its speed: shown, and left out while others remain. */
  unsteadyRounds: number
  driftMax: number
  stolenMax: number
}>

/** Medians over the steady rounds, or over all where none was steady. */
export function cpuReport(
  rounds: readonly Readonly<{ round: MeasuredRound; messages: number }>[],
): CpuReport {
  const steady = rounds.filter(({ round }) => round.drift <= DRIFT_MAX)
  const used = steady.length > 0 ? steady : rounds
  const names = [...(used[0]?.round.cpuS.keys() ?? [])]
  const perMillion = (seconds: (round: MeasuredRound) => number): number =>
    median(used.map(({ round, messages }) => (seconds(round) / messages) * 1e6))
  const mib = (memory: 'residentMiB' | 'peakMiB'): Readonly<Record<string, number>> =>
    Object.fromEntries(
      [...(used[0]?.round[memory].keys() ?? [])].map((name) => [
        name,
        median(used.map(({ round }) => round[memory].get(name) ?? Number.NaN)),
      ]),
    )
  return {
    cpuSPerMillion: Object.fromEntries(
      names.map((name) => [name, perMillion((round) => round.cpuS.get(name) ?? Number.NaN)]),
    ),
    residentMiB: mib('residentMiB'),
    peakMiB: mib('peakMiB'),
    generatorCpuSPerMillion: perMillion(({ generatorCpuS }) => generatorCpuS),
    messagesPerS: median(used.map(({ round, messages }) => messages / round.tookS)),
    rounds: rounds.length,
    unsteadyRounds: rounds.length - steady.length,
    driftMax: Math.max(...rounds.map(({ round }) => round.drift)),
    stolenMax: Math.max(...rounds.map(({ round }) => round.stolen)),
  }
}

export function printCpuReport(title: string, report: CpuReport): void {
  const servers = Object.entries(report.cpuSPerMillion)
  printTable([
    [title, 'CPU-s per million', 'MiB resident'],
    ...servers.map(([name, value]) => [name, value, report.residentMiB[name] ?? '']),
    ['(generator)', report.generatorCpuSPerMillion, ''],
  ])
  process.stdout.write(`${Math.round(report.messagesPerS)} messages a second.\n`)
  process.stdout.write(`${calibrationText(report)}\n`)
  process.stdout.write('The generator shares the machine and is no part of any other line.\n')
}

/** How far the figures of this run can be believed. */
export function calibrationText(report: CpuReport): string {
  const { rounds, unsteadyRounds, driftMax, stolenMax } = report
  const percent = (share: number): string => `${(share * 100).toFixed(1)} %`
  return [
    `Each figure is the median of ${rounds - leftOut(report)} rounds.`,
    `Calibration: a fixed loop before and after each round moved by up to ${percent(driftMax)}, ` +
      `${percent(stolenMax)} of the time was stolen; ${unsteadyRounds} of ${rounds} rounds were unsteady ` +
      `(over ${percent(DRIFT_MAX)}), ${leftOut(report)} left out.`,
  ].join('\n')
}

/** Unsteady rounds count where no round was steady. */
const leftOut = ({ rounds, unsteadyRounds }: CpuReport): number =>
  unsteadyRounds < rounds ? unsteadyRounds : 0
