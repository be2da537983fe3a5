/**
 * What must hold at every moment, watched from outside while a fault is on:
 *
 *   I6  per series and window the count that a reader sees never decreases
 *   I8  no process of ours grows past its bound
 *   I9  every record before a committed position is in the tables
 */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { queryRows } from '../../../loadtest/clickhouse-query.ts'
import type { LogAdmin, LogConsumer } from '../../../platform/kafka/log.ts'
import { type AvroDecoder, createAvroDecoder } from '../../../schemas/avro-codec.ts'
import { TELEMETRY_SCHEMA, type Telemetry } from '../../../schemas/telemetry.ts'
import { TELEMETRY } from '../../../schemas/topics.ts'
import { logOn } from './acknowledged-loss.ts'
import type { RigSystem } from './rig-system.ts'

/** Messages of a fleet carry it, and it never repeats on a device. */
const SEQ = 'seq'
const POLL_MS = 700
const EXAMPLES_MAX = 5

export type Watched = Readonly<{
  /** Windows whose count was seen to decrease. */
  decreased: number
  /** Records that a commit covered and the tables did not have; dead letters are among them. */
  uncovered: readonly SeenRecord[]
  /** The largest resident set of a pipeline, in MB. */
  rssMbMax: number
  examples: readonly string[]
}>

export type SeenRecord = Readonly<{ offset: number; device: string; seqs: readonly number[] }>

export class Watchers {
  readonly #system: RigSystem
  readonly #topic: string
  readonly #group: string
  readonly #counts = new Map<string, number>()
  readonly #records = new Map<number, SeenRecord[]>()
  readonly #checkedTo = new Map<number, number>()
  readonly #examples: string[] = []
  readonly #decoder: AvroDecoder<Telemetry>
  readonly #learnt = new Set<number>()
  #consumer: LogConsumer | undefined
  #admin: LogAdmin | undefined
  #prefix = ''
  #decreased = 0
  readonly #uncovered: SeenRecord[] = []
  #rssMbMax = 0
  #ended = false
  #loop: Promise<void> = Promise.resolve()

  constructor(system: RigSystem) {
    this.#system = system
    this.#topic = `${system.namespace}${TELEMETRY.name}`
    this.#group = `${system.namespace}rollup`
    this.#decoder = createAvroDecoder<Telemetry>({
      schema: TELEMETRY_SCHEMA,
      writers: new Map(),
      fetchSchema: async (id) => {
        const answer = await fetch(`${system.registryUrl}/schemas/ids/${id}`)
        return answer.ok ? ((await answer.json()) as { schema: string }).schema : undefined
      },
    })
  }

  /** Watches the devices whose ids begin with the prefix. */
  async start(prefix: string): Promise<void> {
    this.#prefix = prefix
    const log = logOn(this.#system.kafka.addresses('READER'), 'faults-watcher')
    this.#admin = log.admin()
    const ranges = await this.#admin.offsetRange(this.#topic)
    this.#consumer = log.consumer({
      name: 'faults-watcher',
      group: undefined,
      topics: [this.#topic],
      handler: {
        assigned: async ({ partition }) => ranges.get(partition)?.end ?? 0,
        revoked: () => {},
        batch: async (batch) => {
          const values: { offset: number; value: Buffer }[] = []
          batch.forEach(({ offset, value }) => {
            if (value !== null) values.push({ offset, value: Buffer.from(value) })
          })
          for (const each of values) await this.#keep(batch.partition, each)
        },
      },
    })
    await this.#consumer.start()
    this.#consumer.failure.catch(() => {}) // Kafka may be gone for good in a round: then I9 ends here.
    this.#loop = this.#watch()
  }

  async stop(): Promise<Watched> {
    this.#ended = true
    await this.#loop
    await this.#consumer?.drain(2_000)
    await this.#admin?.close()
    return {
      decreased: this.#decreased,
      uncovered: this.#uncovered,
      rssMbMax: this.#rssMbMax,
      examples: this.#examples,
    }
  }

  async #watch(): Promise<void> {
    while (!this.#ended) {
      this.#readMemory()
      // A server that is down now answers later: what was missed then is seen with the next look.
      await this.#readCounts().catch(() => {})
      await this.#readPositions().catch(() => {})
      await sleep(POLL_MS)
    }
  }

  #readMemory(): void {
    for (const { pid } of this.#system.pipelines) {
      if (pid === undefined) continue
      try {
        const kb = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
        this.#rssMbMax = Math.max(this.#rssMbMax, Math.round(Number(kb ?? 0) / 1024))
      } catch {
        // It has just ended.
      }
    }
  }

  async #readCounts(): Promise<void> {
    const rows = await queryRows(this.#system.clickhousePlace, {
      sql: `SELECT toString(series), toUnixTimestamp(w), cnt FROM rollup_10s FINAL
        WHERE (tenant, series) IN
          (SELECT tenant, series FROM series WHERE startsWith(device, {prefix:String}))`,
      parameters: { prefix: this.#prefix },
    })
    for (const [series, start, count] of rows) {
      const key = `${series}@${start}`
      const before = this.#counts.get(key) ?? 0
      if (Number(count) < before) {
        this.#decreased += 1
        this.#note(`I6 ${key}: ${before} became ${count}`)
      }
      this.#counts.set(key, Number(count))
    }
  }

  /** The commit is read first, then the tables: what was durable then is durable now. */
  async #readPositions(): Promise<void> {
    const committed = (await this.#admin?.committed(this.#group, this.#topic)) ?? new Map()
    const covered: SeenRecord[] = []
    for (const [partition, { metadata }] of committed) {
      const position = Number(/^v\d+;(\d+);/.exec(metadata)?.[1] ?? 0)
      const from = this.#checkedTo.get(partition) ?? 0
      const records = this.#records.get(partition) ?? []
      // Records that were appended meanwhile and are not read yet are looked at the next time.
      const readTo = (records.at(-1)?.offset ?? -1) + 1
      const to = Math.min(position, readTo)
      covered.push(...records.filter(({ offset }) => offset >= from && offset < to))
      this.#checkedTo.set(partition, Math.max(from, to))
    }
    if (covered.length === 0) return
    const stored = await this.#storedSeqs()
    for (const { device, seqs, offset } of covered) {
      if (seqs.every((seq) => stored.has(`${device}/${seq}`))) continue
      this.#uncovered.push({ device, seqs, offset })
    }
  }

  async #storedSeqs(): Promise<ReadonlySet<string>> {
    const rows = await queryRows(this.#system.clickhousePlace, {
      sql: `SELECT DISTINCT s.device, toInt64(r.value) FROM samples AS r
        INNER JOIN (SELECT DISTINCT tenant, series, device FROM series
          WHERE startsWith(device, {prefix:String}) AND metric = '${SEQ}') AS s
        ON r.tenant = s.tenant AND r.series = s.series`,
      parameters: { prefix: this.#prefix },
    })
    return new Set(rows.map(([device, seq]) => `${device}/${seq}`))
  }

  async #keep(partition: number, { offset, value }: Readonly<{ offset: number; value: Buffer }>) {
    const found = await this.decode(value)
    const seqs = found?.device?.startsWith(this.#prefix)
      ? found.numbers.flatMap(({ metric, v }) => (metric === SEQ ? v : []))
      : []
    const device = found?.device ?? ''
    const list = this.#records.get(partition) ?? []
    this.#records.set(partition, list)
    // Ticks and strangers count for how far we have read.
    list.push({ offset, device, seqs })
  }

  /** Undefined for what is no telemetry. */
  async decode(value: Buffer): Promise<Telemetry | undefined> {
    if (value.length < 5 || value[0] !== 0) return undefined
    const id = value.readUInt32BE(1)
    if (!this.#learnt.has(id)) {
      this.#learnt.add(id)
      await this.#decoder.learn(id).catch(() => this.#learnt.delete(id))
    }
    const decoded = this.#decoder.decode(value)
    return decoded.kind === 'value' ? decoded.value : undefined
  }

  #note(text: string): void {
    if (this.#examples.length < EXAMPLES_MAX) this.#examples.push(text)
  }
}
