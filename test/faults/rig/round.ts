/**
 * One round of a fault: load, the fault at a seeded moment, healing, recovery, quiescence, and the
 * judgement of everything that the round's own fleet was promised.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { queryRows } from '../../../loadtest/clickhouse-query.ts'
import { DeviceAccounts } from '../../../loadtest/device-accounts.ts'
import { Fleet } from '../../../loadtest/fleet/fleet.ts'
import { withLogAdmin } from '../../../loadtest/kafka-log.ts'
import { type Ledger, LedgerWriter, readLedger } from '../../../loadtest/ledger.ts'
import { type Random, randomOf } from '../../../loadtest/random.ts'
import { type Verdict, compare } from '../../../loadtest/reconcile/compare.ts'
import { readStored } from '../../../loadtest/reconcile/clickhouse-reader.ts'
import { waitUntilCounted } from '../../../loadtest/reconcile/quiescence.ts'
import { systemClock } from '../../../platform/clock.ts'
import { DEAD_LETTERS, TELEMETRY } from '../../../schemas/topics.ts'
import { readTopic } from '../../read-topic.ts'
import { logOn } from './acknowledged-loss.ts'
import type { RigSystem } from './rig-system.ts'
import { type Watched, Watchers } from './watchers.ts'

/** What a fault has in its hands. */
export type RoundContext = Readonly<{
  system: RigSystem
  random: Random
  fleet: Fleet
  prefix: string
  round: number
  /** Resolves when the devices were acknowledged so many messages more. */
  acknowledgedMore(messages: number, limitMs?: number): Promise<void>
  /** A finding of the fault's own: something that had to happen and did not, or the reverse. */
  fault(text: string): void
  /** A fact for the report. */
  note(text: string): void
}>

export type Fault = Readonly<{
  name: string
  /** Its number in the list of faults. */
  number: string
  /** Which system it is played on; systems are shared by the faults that want the same. */
  on: 'one' | 'three' | 'small disk'
  /** Does the harm and heals it. What it leaves behind must work by itself. */
  play(context: RoundContext): Promise<void>
  /** Messages may end as dead letters instead of rows: they are kept, not stored. */
  lettersAllowed?: boolean
  /** Loss is the point, and must be loud: told by the fault itself. */
  lossAllowed?: boolean
  /** The fault itself commits what is not stored, and takes that back: I9 cannot hold meanwhile. */
  commitsMovedAhead?: boolean
  /** How long everything may take to be counted again. */
  recoveryLimitMs?: number
}>

export type RoundResult = Readonly<{
  lost: number
  duplicated: number
  wrongWindows: number
  recoveryS: number
  /** In words; empty when all invariants held. */
  findings: readonly string[]
  notes: readonly string[]
  verdict: Verdict
  watched: Watched
  ledgerPath: string
  prefix: string
}>

const DEVICES = 24
const RATE_PER_S = 150
const DURATION_MS = 900_000
const BEFORE_MESSAGES = 250
const AFTER_MESSAGES = 250
const MOMENT_MS_MAX = 1_500
export const RECOVERY_LIMIT_MS = 60_000
/** Some 120 at rest; a leak, or a backlog held in memory, would be far above. */
const RSS_MB_MAX = 512
const QUIET_LIMIT_MS = 90_000
/** The longest fault takes a minute; one that hangs ends its round. */
const PLAY_LIMIT_MS = 240_000
const DAYS_3_MS = 3 * 86_400_000

export async function playRound(
  system: RigSystem,
  fault: Fault,
  { seed, round }: Readonly<{ seed: string; round: number }>,
): Promise<RoundResult> {
  const name = `${seed}/${fault.name}/${round}`
  const random = randomOf(name)
  const prefix = `r${random.integer(0xffffff).toString(36)}${round}-`
  const path = join(system.folder, `${prefix}.ledger`)
  const startedAtMs = systemClock.nowMs()
  const ledger = new LedgerWriter(path, { ledger: 1, prefix, seed: name, startedAtMs })
  const fleet = new Fleet({ ...fleetOptions(system, name), prefix, ledger })
  const watchers = new Watchers(system)
  const findings: string[] = []
  const notes: string[] = []
  const context: RoundContext = {
    ...{ system, random, fleet, prefix, round },
    acknowledgedMore: (messages, limitMs = RECOVERY_LIMIT_MS) => more(fleet, messages, limitMs),
    fault: (text) => void findings.push(text),
    note: (text) => void notes.push(text),
  }
  await fleet.connect()
  await watchers.start(prefix)
  let endLoad: () => void = () => {}
  const played = fleet.play(new Promise((resolve) => (endLoad = () => resolve(undefined))))
  try {
    await context.acknowledgedMore(BEFORE_MESSAGES)
    await sleep(random.between(0, MOMENT_MS_MAX))
    await within(PLAY_LIMIT_MS, fault.play(context))
    const healedMs = systemClock.monotonicMs()
    const limitMs = fault.recoveryLimitMs ?? RECOVERY_LIMIT_MS
    await context.acknowledgedMore(AFTER_MESSAGES, limitMs)
    await counted(system, limitMs)
    const recoveryS = (systemClock.monotonicMs() - healedMs) / 1000
    endLoad()
    await played
    const sent = await fleet.finish(RECOVERY_LIMIT_MS)
    await ledger.end()
    if (sent.unacknowledged > 0) findings.push(`${sent.unacknowledged} never acknowledged`)
    if (sent.acksOutOfOrder > 0) findings.push(`${sent.acksOutOfOrder} PUBACKs out of order`)
    await counted(system, QUIET_LIMIT_MS)
    const watched = await watchers.stop()
    const judged = await judge({ system, fault, path, watchers })
    return {
      ...result({ fault, watched, judged, recoveryS, findings, notes }),
      ...{ ledgerPath: path, prefix },
    }
  } finally {
    endLoad()
    await fleet.finish(0)
    await watchers.stop()
  }
}

function fleetOptions(system: RigSystem, seed: string) {
  return {
    mqttUrl: system.mqttUrl,
    accounts: new DeviceAccounts({ url: system.apiUrl, key: system.apiKey }, undefined),
    clock: systemClock,
    seed,
    devices: DEVICES,
    ratePerS: RATE_PER_S,
    durationMs: DURATION_MS,
    mix: {
      unstamped: 0.3,
      duplicates: 0.1,
      outOfOrder: 0.3,
      late: 0.05,
      lateMsMax: DAYS_3_MS,
      packed: 0.1,
    },
    bursts: 0.01,
    qos: 1,
  } as const
}

async function more(fleet: Fleet, messages: number, limitMs: number): Promise<void> {
  const enough = fleet.acknowledged + messages
  const endMs = systemClock.monotonicMs() + limitMs
  while (fleet.acknowledged < enough) {
    if (systemClock.monotonicMs() > endMs) {
      const got = messages - (enough - fleet.acknowledged)
      throw new Error(`devices were acknowledged ${got} of ${messages} messages in ${limitMs} ms`)
    }
    await sleep(20)
  }
}

async function within(limitMs: number, play: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    const text = `the fault was not over after ${limitMs / 1000} s`
    timer = setTimeout(() => reject(new Error(text)), limitMs)
  })
  await Promise.race([play, late]).finally(() => clearTimeout(timer))
}

/** What is in the log now is counted, and committed. */
export async function counted(system: RigSystem, limitMs: number): Promise<void> {
  const log = logOn(system.kafka.addresses('READER'), 'faults-judge')
  await withLogAdmin(log, (admin) =>
    waitUntilCounted({
      admin,
      topic: `${system.namespace}${TELEMETRY.name}`,
      group: `${system.namespace}rollup`,
      clock: systemClock,
      limitMs,
    }),
  )
}

type Judged = Readonly<{
  verdict: Verdict
  letters: number
  cascades: number
  lettered: ReadonlySet<string>
}>

async function judge(
  about: Readonly<{ system: RigSystem; fault: Fault; path: string; watchers: Watchers }>,
): Promise<Judged> {
  const { system, path, watchers } = about
  const ledger = await readLedger(path)
  const { prefix } = ledger.header
  const lettered = await letteredSeqs(system, prefix, watchers)
  const kept = withoutLettered(ledger, lettered)
  const verdict = compare(kept.ledger, await readStored(system.clickhousePlace, prefix))
  const cascades = await wrongCascades(system, prefix)
  return { verdict, letters: kept.lettered, cascades, lettered }
}

/** device/seq of every message of ours that is a dead letter. */
async function letteredSeqs(
  system: RigSystem,
  prefix: string,
  watchers: Watchers,
): Promise<ReadonlySet<string>> {
  const log = logOn(system.kafka.addresses('READER'), 'faults-letters')
  const found = new Set<string>()
  for (const letter of await readTopic(log, `${system.namespace}${DEAD_LETTERS.name}`)) {
    const telemetry = letter.value === null ? undefined : await watchers.decode(letter.value)
    const device = telemetry?.device ?? letter.headers['dlq.device']?.toString() ?? ''
    if (!device.startsWith(prefix)) continue
    const seqs =
      telemetry === undefined
        ? seqsOfPayload(letter.value)
        : telemetry.numbers.flatMap(({ metric, v }) => (metric === 'seq' ? v : []))
    for (const seq of seqs) found.add(`${device}/${seq}`)
  }
  return found
}

/** What the edge refused is kept as the device sent it: JSON. */
function seqsOfPayload(value: Buffer | null): readonly number[] {
  const text = value?.toString() ?? ''
  return [...text.matchAll(/"seq":(\d+)/g)].map((match) => Number(match[1]))
}

/** A message that is kept as a dead letter was promised to be kept, not to be a row. */
function withoutLettered(ledger: Ledger, lettered: ReadonlySet<string>) {
  let count = 0
  const messages = ledger.messages.map((message) => {
    const isLetter = message.samples.some(([, values]) =>
      lettered.has(`${message.device}/${String(values['seq'])}`),
    )
    if (!isLetter) return message
    count += 1
    return { ...message, acked: false }
  })
  return { ledger: { ...ledger, messages }, lettered: count }
}

/** I5: a minute holds its 10 s windows, and an hour that is written holds its minutes. */
async function wrongCascades(system: RigSystem, prefix: string): Promise<number> {
  const ofDevices = `(tenant, series) IN
    (SELECT tenant, series FROM series WHERE startsWith(device, {prefix:String}))`
  const sums = (table: string, seconds: number): string =>
    `(SELECT series, intDiv(toUnixTimestamp(w), ${seconds}) AS p, sum(cnt) AS n
      FROM ${table} FINAL WHERE ${ofDevices} GROUP BY series, p)`
  let wrong = 0
  for (const [child, parent, seconds] of [
    ['rollup_10s', 'rollup_1m', 60],
    ['rollup_1m', 'rollup_1h', 3600],
    ['rollup_1h', 'rollup_1d', 86_400],
  ] as const) {
    const [[count] = []] = await queryRows(system.clickhousePlace, {
      sql: `SELECT count() FROM ${sums(parent, seconds)} AS a
        LEFT JOIN ${sums(child, seconds)} AS b ON a.series = b.series AND a.p = b.p
        WHERE a.n != b.n`,
      parameters: { prefix },
    })
    wrong += Number(count ?? 0)
  }
  return wrong
}

function result(
  parts: Readonly<{
    fault: Fault
    watched: Watched
    judged: Judged
    recoveryS: number
    findings: readonly string[]
    notes: readonly string[]
  }>,
): Omit<RoundResult, 'ledgerPath' | 'prefix'> {
  const { fault, watched, judged, recoveryS } = parts
  const { verdict, letters, cascades } = judged
  const findings = [...parts.findings]
  const check = (wrong: number, text: string): void => {
    if (wrong > 0) findings.push(`${wrong} ${text}`)
  }
  if (fault.lossAllowed !== true) check(verdict.lost, 'samples lost')
  check(verdict.duplicatedStamped, 'samples counted twice')
  check(verdict.invented, 'samples invented')
  check(verdict.wrongValues, 'values wrong')
  check(verdict.wrongRollups, 'windows wrong')
  check(cascades, 'parents that are not the sum of their children (I5)')
  check(watched.decreased, 'counts seen to decrease (I6)')
  const uncovered = watched.uncovered.filter(
    ({ device, seqs }) => !seqs.every((seq) => judged.lettered.has(`${device}/${seq}`)),
  )
  if (fault.lossAllowed !== true && fault.commitsMovedAhead !== true) {
    check(uncovered.length, 'records committed before they were stored (I9)')
  }
  if (watched.rssMbMax > RSS_MB_MAX) findings.push(`a pipeline of ${watched.rssMbMax} MB (I8)`)
  if (fault.lettersAllowed !== true) check(letters, 'messages became dead letters')
  if (findings.length > 0) findings.push(...verdict.examples.slice(0, 5), ...watched.examples)
  return {
    lost: verdict.lost,
    duplicated: verdict.duplicatedStamped,
    wrongWindows: verdict.wrongRollups + cascades,
    recoveryS,
    findings,
    notes: letters > 0 ? [...parts.notes, `${letters} dead letters`] : parts.notes,
    verdict,
    watched,
  }
}
