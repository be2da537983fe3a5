/**
 * `npm run faults`: real servers and the real processes under seeded faults, judged by the
 * fleet's own ledger. Every fault of the design's list has a line in the table; one that cannot be
 * played on this machine says why.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { commandWithOptions } from '../../platform/lifecycle/command-with-options.ts'
import { median, printJson, printTable } from '../../loadtest/report.ts'
import { Failure } from '../../platform/failure.ts'
import { EXIT } from '../../platform/lifecycle/exit-codes.ts'
import { packageRoot } from '../../platform/package-root.ts'
import { FAULTS, UNPLAYED, whyNot } from './rig/catalogue.ts'
import { watchForInterruption } from './rig/endings.ts'
import { playHazards } from './rig/hazard-rounds.ts'
import { smallDisk, unmount } from './rig/machine.ts'
import { RigSystem } from './rig/rig-system.ts'
import { type Fault, playRound } from './rig/round.ts'
import { type FaultLine, lineOf, notRun } from './rig/table.ts'

const OPTIONS = {
  rounds: {
    kind: 'integer',
    default: 5,
    min: 1,
    max: 10_000,
    doc: 'Rounds of each fault; kill points get twice as many.',
  },
  seed: { kind: 'text', default: 'weir', doc: 'Names the moments and the fleets.' },
  only: {
    kind: 'list',
    default: [],
    doc: 'Plays the faults with one of these texts in their name.',
  },
  list: { kind: 'switch', default: false, doc: 'Prints the faults and plays none.' },
  serversDir: {
    kind: 'text',
    default: '',
    doc: 'Where downloaded servers are kept; empty: .weir/servers of this checkout.',
  },
  keep: { kind: 'switch', default: false, doc: 'Leaves logs and data of the systems behind.' },
  json: { kind: 'switch', default: false, doc: 'Print one JSON object as the last line.' },
} as const

const DISK_MB = { clickhouse: 256, kafka: 400, journal: 2 }
const HAZARDS_NAME = 'kafkajs hazards'

export const faultsCommand = commandWithOptions({
  name: 'faults',
  summary: 'plays faults against the whole system and checks every promise from outside',
  options: OPTIONS,
  async run(options) {
    const isWanted = (name: string): boolean =>
      options.only.length === 0 || options.only.some((text) => name.includes(text))
    const chosen = FAULTS.filter(({ name }) => isWanted(name))
    const missing = UNPLAYED.filter(({ name }) => isWanted(name))
    if (chosen.length + missing.length === 0 && !isWanted(HAZARDS_NAME)) {
      // No fault at all would end with "every promise held".
      const asked = options.only.join(',')
      throw new Failure('config_invalid', `--only: no fault has "${asked}" in its name; see --list`)
    }
    if (options.list) {
      const rows = chosen.map((fault) => [fault.number, fault.name, whyNot(fault) ?? ''])
      printTable([
        ['no.', 'fault', 'not run'],
        ...rows,
        ...missing.map((m) => [m.number, m.name, m.why]),
      ])
      return EXIT.ok
    }
    watchForInterruption()
    const serversDir = options.serversDir || resolve(packageRoot(), '.weir', 'servers')
    const folder = mkdtempSync(join(tmpdir(), 'weir-faults-'))
    // Postgres may run as another user, who has to get through.
    chmodSync(folder, 0o711)
    const { rounds, seed } = options
    const lines: FaultLine[] = []
    try {
      if (isWanted(HAZARDS_NAME)) lines.push(...(await playHazards({ folder, serversDir, rounds })))
      for (const on of ['one', 'small disk', 'three'] as const) {
        const faults = chosen.filter((fault) => fault.on === on)
        const possible = faults.filter((fault) => whyNot(fault) === undefined)
        for (const fault of faults) {
          const why = whyNot(fault)
          if (why !== undefined) lines.push(notRun({ ...fault, why }))
        }
        if (possible.length > 0) {
          lines.push(...(await playAll(possible, { folder, serversDir, on, rounds, seed })))
        }
      }
    } finally {
      if (!options.keep) rmSync(folder, { recursive: true, force: true })
    }
    lines.push(...missing.map(notRun))
    return report(lines, options)
  },
})

type Place = Readonly<{
  folder: string
  serversDir: string
  on: Fault['on']
  rounds: number
  seed: string
}>

/** All faults that want the same system share one, until a round leaves it broken. */
async function playAll(faults: readonly Fault[], place: Place): Promise<FaultLine[]> {
  const lines: FaultLine[] = []
  let started = 0
  let system: RigSystem | undefined
  for (const fault of faults) {
    const results = []
    const rounds = /^kill .* (after|mid|before) /.test(fault.name) ? 2 * place.rounds : place.rounds
    for (let round = 0; round < rounds; round++) {
      try {
        system ??= await startRig(place, `${place.on.replace(' ', '-')}-${started++}`)
        const result = await playRound(system, fault, { seed: place.seed, round })
        const said = result.findings.length === 0 ? 'ok' : result.findings.join('; ')
        progress(
          `${fault.name} ${round + 1}/${rounds}: ${said} ${result.notes.join('; ')} (${result.recoveryS.toFixed(1)} s)`,
        )
        results.push(result)
        if (result.findings.length === 0) continue
      } catch (error) {
        const text = error instanceof Error ? error.message : String(error)
        progress(`${fault.name} ${round + 1}/${rounds}: broke off: ${text}`)
        results.push(text)
      }
      await stopRig(system, place)
      system = undefined
    }
    lines.push(lineOf(fault, results))
  }
  await stopRig(system, place)
  return lines
}

async function startRig({ folder, serversDir, on }: Place, name: string): Promise<RigSystem> {
  const own = join(folder, name)
  const base = { folder: own, serversDir, brokers: on === 'three' ? 3 : 1 } as const
  if (on !== 'small disk') return RigSystem.start(base)
  const diskOf = (what: keyof typeof DISK_MB): string => join(own, `disk-${what}`)
  smallDisk(diskOf('clickhouse'), DISK_MB.clickhouse)
  smallDisk(diskOf('kafka'), DISK_MB.kafka)
  smallDisk(diskOf('journal'), DISK_MB.journal)
  return RigSystem.start({
    ...base,
    clickhouseFolder: join(diskOf('clickhouse'), 'data'),
    kafkaLogFolder: diskOf('kafka'),
    journalFolder: join(diskOf('journal'), 'journal'),
  })
}

async function stopRig(system: RigSystem | undefined, { on }: Place): Promise<void> {
  await system?.stop()
  if (on !== 'small disk' || system === undefined) return
  for (const disk of Object.keys(DISK_MB)) unmount(join(system.folder, `disk-${disk}`))
}

function progress(text: string): void {
  process.stderr.write(`faults: ${text}\n`)
}

function report(
  lines: readonly FaultLine[],
  { seed, json }: Readonly<{ seed: string; json: boolean }>,
): number {
  const rows = lines.map((line) => [
    line.number,
    line.name,
    line.rounds,
    line.lost,
    line.duplicated,
    line.wrongWindows,
    line.recoveryS.length === 0 ? '' : median(line.recoveryS).toFixed(1),
    line.recoveryS.length === 0 ? '' : Math.max(...line.recoveryS).toFixed(1),
    line.verdict,
  ])
  const head = ['no.', 'fault', 'rounds', 'lost', 'dup', 'wrong windows', 'recovery s', 'worst', '']
  printTable([head, ...rows])
  const ok = lines.every((line) => line.ok)
  process.stdout.write(`seed ${seed}: ${ok ? 'every promise held' : 'a promise was broken'}\n`)
  if (json) printJson({ command: 'faults', seed, ok, faults: lines })
  return ok ? EXIT.ok : EXIT.failed
}
