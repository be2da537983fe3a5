/** The two readers of `bench latency`: of live updates on rollups.v1, and of rows in ClickHouse. */
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../platform/clock.ts'
import { Failure } from '../../platform/failure.ts'
import { createAvroDecoder } from '../../schemas/avro-codec.ts'
import { ROLLUPS } from '../../schemas/topics.ts'
import { WINDOW_UPDATE_SCHEMA, type WindowUpdate } from '../../schemas/window-update.ts'
import { queryRows } from '../clickhouse-query.ts'
import { kafkaLog } from '../kafka-log.ts'
import type { BenchSpace } from './bench-space.ts'
import type { DueTimes, Sightings } from './sightings.ts'
import { deviceIndex, deviceName, METRICS, schemaIdOf, TENANT } from './telemetry-fleet.ts'

const METRIC = METRICS[0]
const RESOLUTION_MS = 10_000
/** Devices whose rows are watched: enough for every partition, few enough to ask often. */
const WATCHED_DEVICES = 100
const ASK_AGAIN_MS = 25

export type LiveWatch = Readonly<{ sightings: Sightings; stop(): Promise<void> }>

/** Sees every update from now on. */
export async function watchLive(space: BenchSpace, sightings: Sightings): Promise<LiveWatch> {
  const topic = `${space.topicPrefix}${ROLLUPS.name}`
  const id = await schemaIdOf(space.registryUrl, topic)
  const decoder = createAvroDecoder<WindowUpdate>({
    schema: WINDOW_UPDATE_SCHEMA,
    writers: new Map([[id, WINDOW_UPDATE_SCHEMA]]),
    fetchSchema: async () => undefined,
  })
  const consumer = kafkaLog(space.brokers).consumer({
    ...{ name: 'watch', group: undefined, topics: [topic] },
    handler: {
      assigned: async () => 0,
      revoked: () => {},
      batch: async (batch) => {
        const nowMs = systemClock.nowMs()
        batch.forEach(({ value }) => {
          const update = decoder.decode(value ?? Buffer.alloc(0))
          if (update.kind !== 'value') throw new Failure('internal', `${topic}: ${update.kind}`)
          const { device, windows } = update.value
          for (const { metric, resolutionMs, lastTs } of windows) {
            if (metric !== METRIC || resolutionMs !== RESOLUTION_MS) continue
            sightings.saw(deviceIndex(device), lastTs, nowMs)
          }
        })
      },
    },
  })
  await consumer.start()
  return { sightings, stop: () => consumer.drain(10_000) }
}

/** Asks for the newest times in the rows of some devices, again and again. */
export class RowWatch {
  readonly sightings: Sightings
  readonly #space: BenchSpace
  readonly #devices: readonly number[]
  #stopped = false

  constructor(space: BenchSpace, devices: number, due: DueTimes) {
    const step = Math.max(1, Math.floor(devices / WATCHED_DEVICES))
    this.#space = space
    this.#devices = Array.from({ length: Math.ceil(devices / step) }, (_, n) => n * step)
    this.sightings = due.sightings(this.#devices)
  }

  /** Resolves when it was stopped; rejects when ClickHouse does not answer. */
  async run(): Promise<void> {
    const ids = await this.#seriesIds()
    const sql = `SELECT toString(series), toFloat64(toUnixTimestamp64Milli(max(last_ts))) FROM rollup_10s
      WHERE tenant = '${TENANT}' AND series IN (${[...ids.keys()].join(',')}) AND w > now() - 60
      GROUP BY series`
    while (!this.#stopped) {
      const rows = await queryRows(this.#space.clickhouse, { sql })
      const nowMs = systemClock.nowMs()
      for (const [id, lastMs] of rows) {
        this.sightings.saw(ids.get(String(id)) ?? -1, Number(lastMs), nowMs)
      }
      await sleep(ASK_AGAIN_MS)
    }
  }

  async stop(running: Promise<void>): Promise<void> {
    this.#stopped = true
    await running
  }

  /** Devices by the id of their series, once all of them have spoken. */
  async #seriesIds(): Promise<ReadonlyMap<string, number>> {
    const names = this.#devices.map((device) => `'${deviceName(device)}'`).join(',')
    const sql = `SELECT DISTINCT toString(series), device FROM series
      WHERE tenant = '${TENANT}' AND metric = '${METRIC}' AND device IN (${names})`
    for (;;) {
      const rows = await queryRows(this.#space.clickhouse, { sql })
      if (rows.length === this.#devices.length || this.#stopped) {
        return new Map(rows.map(([id, device]) => [String(id), deviceIndex(String(device))]))
      }
      await sleep(ASK_AGAIN_MS)
    }
  }
}
