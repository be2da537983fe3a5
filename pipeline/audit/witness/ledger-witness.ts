/**
 * The witness from outside: what a client saw acknowledged, looked for in the raw table. Only such
 * a witness can tell that something was lost before it reached the log.
 *
 * A sample with a device's time is (series, time). Where a device has no clock the edge chose the
 * time, so values are counted: fewer than were acknowledged are missing; more than were sent are
 * redeliveries without an identity, which are told and are no finding.
 */
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { Failure } from '../../../platform/failure.ts'
import {
  ledgerLineOf,
  type LedgerSample,
  type LedgerValue,
} from '../../../schemas/client-ledger.ts'
import { TELEMETRY } from '../../../schemas/topics.ts'
import { sleep } from '../../timers.ts'
import type { AuditPorts } from '../audit-run.ts'
import { timeText } from '../hour-tally.ts'
import { progressOf } from '../log/log-cut.ts'
import { readRaw } from '../windows/window-tables.ts'
import { terminalText } from '../terminal-text.ts'

export type LedgerVerdict = {
  messagesAcknowledged: number
  samplesAcknowledged: number
  /** Acknowledged and not in the raw table. */
  missing: number
  /** In the raw table, of the ledger's devices, and in no message of it. */
  unknown: number
  /** Stored more often than sent: redelivered without an identity. */
  redelivered: number
  findingCount: number
  /** The first of each kind. */
  findings: string[]
}

const KEPT_MAX = 20
const WAIT_MS = 60_000
const POLL_MS = 250
const SERIES_PER_QUESTION = 200
/** A device's clock may be wrong by more, but not what a load test sends. */
const BEFORE_START_MS = 400 * 86_400_000

type Values = Map<LedgerValue, { sent: number; acknowledged: number }>
type ExpectedSeries = {
  stamped: Map<number, { values: LedgerValue[]; acknowledged: boolean }>
  unstamped: Values
}
type Expected = {
  prefix: string
  startedAtMs: number
  messagesAcknowledged: number
  samplesAcknowledged: number
  series: Map<string, ExpectedSeries>
}

/** Rejects when the file is no ledger, or the pipeline does not get to the end of the log. */
export async function witnessLedger(
  ports: AuditPorts,
  options: Readonly<{ ledger: string; topicPrefix: string }>,
  onWait: (openRecords: number) => void,
): Promise<LedgerVerdict> {
  const expected = await expectedOf(options.ledger)
  await waitUntilCommitted(ports, options.topicPrefix, onWait)
  const verdict: LedgerVerdict = {
    messagesAcknowledged: expected.messagesAcknowledged,
    samplesAcknowledged: expected.samplesAcknowledged,
    ...{ missing: 0, unknown: 0, redelivered: 0, findingCount: 0, findings: [] },
  }
  const comparison = new Comparison(verdict, expected)
  const names = await ports.clickhouse.select<SeriesRow>(
    `SELECT DISTINCT tenant, device, metric, kind, toString(series) AS id FROM series
     WHERE startsWith(device, {prefix:String}) ORDER BY tenant`,
    { prefix: expected.prefix },
  )
  const fromMs = Math.max(0, expected.startedAtMs - BEFORE_START_MS)
  const toMs = 4_294_967_295_000
  for (const some of chunksByTenant(names)) {
    const byId = new Map(some.map((row) => [row.id, row]))
    const span = { tenant: some[0]?.tenant ?? '', series: [...byId.keys()], fromMs, toMs }
    await readRaw(ports.clickhouse, span, (id, { tsMs, value, text }) => {
      const row = byId.get(id)
      if (row !== undefined) comparison.stored(row, tsMs, valueOf(row.kind, value, text))
    })
  }
  comparison.end()
  return verdict
}

type SeriesRow = Readonly<{
  tenant: string
  device: string
  metric: string
  kind: string
  id: string
}>

class Comparison {
  readonly #verdict: LedgerVerdict
  readonly #expected: Expected
  readonly #kept = new Map<string, number>()

  constructor(verdict: LedgerVerdict, expected: Expected) {
    this.#verdict = verdict
    this.#expected = expected
  }

  /** A stored sample: it takes what it stands for out of what is expected. */
  stored(row: SeriesRow, tsMs: number, value: LedgerValue): void {
    const name = seriesName(row)
    const series = this.#expected.series.get(name)
    const stamped = series?.stamped.get(tsMs)
    // Of two messages with one time the first counts; either may have been it.
    if (stamped !== undefined && stamped.values.includes(value)) {
      series?.stamped.delete(tsMs)
      return
    }
    const counted = series?.unstamped.get(value)
    if (counted !== undefined) {
      if (counted.sent === 0) this.#verdict.redelivered += 1
      counted.sent = Math.max(0, counted.sent - 1)
      counted.acknowledged = Math.max(0, counted.acknowledged - 1)
      return
    }
    this.#verdict.unknown += 1
    this.#find(
      'unknown',
      `${name} at ${timeText(tsMs)} is stored as ${JSON.stringify(value)}, and was not sent`,
    )
  }

  /** What is left and was acknowledged is missing. */
  end(): void {
    for (const [name, { stamped, unstamped }] of this.#expected.series) {
      for (const [tsMs, { acknowledged }] of stamped) {
        if (!acknowledged) continue
        this.#verdict.missing += 1
        this.#find('missing', `${name} at ${timeText(tsMs)} was acknowledged and is not stored`)
      }
      for (const [value, { acknowledged }] of unstamped) {
        if (acknowledged === 0) continue
        this.#verdict.missing += acknowledged
        const times = acknowledged === 1 ? 'once' : `${acknowledged} times`
        const text = `${name}, value ${JSON.stringify(value)}, was acknowledged ${times} more than it is stored`
        this.#find('missing', text)
      }
    }
    this.#verdict.findingCount = this.#verdict.missing + this.#verdict.unknown
  }

  #find(kind: string, text: string): void {
    const kept = this.#kept.get(kind) ?? 0
    this.#kept.set(kind, kept + 1)
    if (kept < KEPT_MAX) this.#verdict.findings.push(text)
  }
}

async function expectedOf(path: string): Promise<Expected> {
  const series = new Map<string, ExpectedSeries>()
  const open = new Map<number, readonly [string, readonly LedgerSample[]]>()
  let header: Readonly<{ prefix: string; startedAtMs: number }> | undefined
  let [messagesAcknowledged, samplesAcknowledged] = [0, 0]
  try {
    for await (const text of createInterface({ input: createReadStream(path) })) {
      const line = ledgerLineOf(text)
      if (line?.kind === 'header') header = line.header
      if (line?.kind === 'sent') open.set(line.id, [line.device, line.samples])
      if (line?.kind !== 'acknowledged') continue
      const [device, samples] = open.get(line.id) ?? ['', []]
      open.delete(line.id)
      messagesAcknowledged += 1
      samplesAcknowledged += expect(series, device, samples, true)
    }
  } catch (cause) {
    throw new Failure('config_invalid', `cannot read the ledger ${path} (--ledger)`, { cause })
  }
  for (const [device, samples] of open.values()) expect(series, device, samples, false)
  if (header === undefined) {
    throw new Failure(
      'config_invalid',
      `${path} (--ledger) is no ledger: its first line is missing`,
    )
  }
  const { prefix, startedAtMs } = header
  return { prefix, startedAtMs, messagesAcknowledged, samplesAcknowledged, series }
}

/** Notes the samples of a message; answers how many they are. */
function expect(
  into: Map<string, ExpectedSeries>,
  device: string,
  samples: readonly LedgerSample[],
  acknowledged: boolean,
): number {
  let count = 0
  for (const [tsMs, values] of samples) {
    for (const [metric, value] of Object.entries(values)) {
      count += 1
      const name = seriesName({ device, metric, kind: kindOf(value) })
      let series = into.get(name)
      if (series === undefined) {
        series = { stamped: new Map(), unstamped: new Map() }
        into.set(name, series)
      }
      if (tsMs === null) expectUnstamped(series.unstamped, value, acknowledged)
      else expectStamped(series.stamped, tsMs, value, acknowledged)
    }
  }
  return count
}

function expectStamped(
  stamped: ExpectedSeries['stamped'],
  tsMs: number,
  value: LedgerValue,
  acknowledged: boolean,
): void {
  const known = stamped.get(tsMs)
  if (known === undefined) stamped.set(tsMs, { values: [value], acknowledged })
  else {
    known.acknowledged ||= acknowledged
    if (!known.values.includes(value)) known.values.push(value)
  }
}

function expectUnstamped(values: Values, value: LedgerValue, acknowledged: boolean): void {
  const known = values.get(value) ?? { sent: 0, acknowledged: 0 }
  known.sent += 1
  if (acknowledged) known.acknowledged += 1
  values.set(value, known)
}

/** What was acknowledged is in the log by now; the tables are asked when they have it too. */
async function waitUntilCommitted(
  ports: AuditPorts,
  topicPrefix: string,
  onWait: (openRecords: number) => void,
): Promise<void> {
  const topic = topicPrefix + TELEMETRY.name
  const ends = await ports.admin.offsetRange(topic)
  for (let waitedMs = 0; ; waitedMs += POLL_MS) {
    const committed = await ports.admin.committed(`${topicPrefix}rollup`, topic)
    let open = 0
    for (const [partition, { earliest, end }] of ends) {
      const { position } = progressOf(committed.get(partition))
      open += Math.max(0, end - Math.max(earliest, position))
    }
    if (open === 0) return
    if (waitedMs >= WAIT_MS) {
      const text = `the pipeline has not committed ${open} records of ${topic} for ${WAIT_MS / 1000} s`
      throw new Failure('unavailable', text)
    }
    onWait(open)
    await sleep(ports.timers, POLL_MS)
  }
}

function* chunksByTenant(rows: readonly SeriesRow[]): Generator<readonly SeriesRow[]> {
  let chunk: SeriesRow[] = []
  for (const row of rows) {
    if (chunk.length === SERIES_PER_QUESTION || (chunk[0]?.tenant ?? row.tenant) !== row.tenant) {
      yield chunk
      chunk = []
    }
    chunk.push(row)
  }
  if (chunk.length > 0) yield chunk
}

const seriesName = (of: Readonly<{ device: string; metric: string; kind: string }>): string =>
  `${of.device} ${of.metric} (${of.kind})`

function kindOf(value: LedgerValue): string {
  if (typeof value === 'number') return 'number'
  return typeof value === 'boolean' ? 'boolean' : 'text'
}

function valueOf(kind: string, value: number, text: string): LedgerValue {
  if (kind === 'number') return value
  return kind === 'boolean' ? value !== 0 : text
}

/** For people, after the table of hours. */
export function ledgerText(verdict: LedgerVerdict): string {
  const { messagesAcknowledged, samplesAcknowledged, missing, unknown, redelivered } = verdict
  const n = (count: number): string => count.toLocaleString('en')
  const lines = [
    `Ledger: ${n(messagesAcknowledged)} messages with ${n(samplesAcknowledged)} samples were ` +
      `acknowledged; ${n(missing)} missing, ${n(unknown)} never sent, ` +
      `${n(redelivered)} redelivered without a time of their own.`,
    ...verdict.findings.map((text) => `  ${terminalText(text)}.`),
  ]
  return `${lines.join('\n')}\n`
}
