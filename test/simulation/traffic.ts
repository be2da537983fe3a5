/**
 * What devices, connectors and strangers put into the log: packed records of three kinds, in
 * order, out of order, late, early, too late, repeated, in two versions of the schema, and bytes
 * that are no telemetry at all.
 */
import { createAvroEncoder } from '../../schemas/avro-codec.ts'
import { type Telemetry, TELEMETRY_SCHEMA, tickRecord } from '../../schemas/telemetry.ts'
import { deviceKey, partitionOf } from '../../schemas/topics.ts'
import type { Plan } from './plan.ts'
import type { Random } from './random.ts'

/** Today's schema, one without its newest fields, and an id that no registry knows. */
export const SCHEMA_IDS = { today: 1, older: 2, nobodys: 9 } as const
export const OLDER_SCHEMA = {
  ...TELEMETRY_SCHEMA,
  fields: TELEMETRY_SCHEMA.fields.filter(({ name }) => name !== 'seq' && name !== 'shiftMs'),
}

const today = createAvroEncoder<Telemetry>(TELEMETRY_SCHEMA, SCHEMA_IDS.today)
const older = createAvroEncoder<Telemetry>(OLDER_SCHEMA, SCHEMA_IDS.older)

/** A record on its way; `telemetry` is undefined where the bytes are none. */
export type Outgoing = Readonly<{
  partition: number
  key: Buffer | null
  value: Buffer | null
  telemetry: Telemetry | undefined
}>

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** Times lie on it, so that the same time comes again with another value. */
const GRID_MS = 700

type Device = Readonly<{ tenant: string; device: string; partition: number }>

/** A device of this name, or nearly, whose records lie in the partition. */
// oxlint-disable-next-line max-params -- once per device of a plan
function nameFor(tenant: string, name: string, partition: number, partitions: number): string {
  let device = name
  while (partitionOf(Buffer.from(deviceKey(tenant, device)), partitions) !== partition) {
    device += "'"
  }
  return device
}

export class Traffic {
  readonly #random: Random
  readonly #plan: Plan
  readonly #devices: readonly Device[]
  readonly #sent: Outgoing[] = []

  constructor(random: Random, plan: Plan) {
    this.#random = random
    this.#plan = plan
    const devices = random.between(1, 3) + plan.partitions - 1
    this.#devices = Array.from({ length: devices }, (_, n) => {
      // Two tenants may well name their devices alike.
      const tenant = n % 2 === 0 ? 'acme' : 'bolt'
      const partition = n % plan.partitions
      return {
        tenant,
        partition,
        device: nameFor(tenant, `d${n >> 1}`, partition, plan.partitions),
      }
    })
  }

  /** The next record, appended at about this time. */
  next(nowMs: number): Outgoing {
    const random = this.#random
    const { troubles } = this.#plan
    if (troubles.has('redelivery') && random.chance(0.12)) {
      const again = random.some(this.#sent)
      if (again !== undefined) return again
    }
    if (troubles.has('bad records') && random.chance(0.15)) return this.#poison()
    if (random.chance(0.08)) return this.tick(random.below(this.#plan.partitions), nowMs)
    const record = this.#record(nowMs)
    this.#sent.push(record)
    return record
  }

  tick(partition: number, recvMs: number): Outgoing {
    const telemetry = tickRecord(recvMs)
    return { partition, key: null, value: today.encode(telemetry), telemetry }
  }

  #record(nowMs: number): Outgoing {
    const random = this.#random
    const { tenant, device, partition } = this.#someDevice()
    const telemetry: Telemetry = {
      ...tickRecord(this.#receiveMs(nowMs)),
      ...{ tenant, device, protocol: 'mqtt', stamped: random.chance(0.8) },
    }
    const entries = random.pick([1, 1, 1, 2, 3])
    const t0 = this.#eventMs(nowMs)
    for (let n = 0; n < entries; n += 1) this.#addSeries(telemetry, t0)
    const encoder = random.chance(0.25) ? older : today
    if (encoder === today) {
      telemetry.seq = random.below(100)
      telemetry.shiftMs = random.chance(0.1) ? 3_600_000 : 0
    }
    const key = Buffer.from(`${tenant}/${device}`)
    return { partition, key, value: encoder.encode(telemetry), telemetry }
  }

  #addSeries(telemetry: Telemetry, t0: number): void {
    const random = this.#random
    const metric = `m${random.below(2)}`
    const dt = this.#distances()
    const values = dt.map(() => this.#value())
    switch (random.pick(['number', 'number', 'boolean', 'text'])) {
      case 'number':
        telemetry.numbers.push({ metric: this.#twin(metric), t0, dt, v: values })
        return
      case 'boolean':
        telemetry.booleans.push({ metric, t0, dt, v: values.map((value) => value > 0) })
        return
      case 'text':
        telemetry.strings.push({ metric, t0, dt, v: values.map((value) => value.toFixed(1)) })
        return
    }
  }

  /** Two names that a broken hash takes for one: see hash-collisions.ts. */
  #twin(metric: string): string {
    if (!this.#plan.troubles.has('colliding series')) return metric
    return this.#random.chance(0.2) ? 'twin-b' : this.#random.chance(0.5) ? 'twin-a' : metric
  }

  #distances(): number[] {
    const random = this.#random
    const reach = random.pick([3, 15, 15, 60])
    const dt = Array.from({ length: random.between(1, 5) }, () => random.below(reach) * GRID_MS)
    // Devices send in order; the topic is public, and others repeat a time within a record.
    return random.chance(0.6) ? [...new Set(dt)].sort((a, b) => a - b) : dt
  }

  #value(): number {
    const random = this.#random
    if (this.#plan.troubles.has('bad records') && random.chance(0.02)) {
      return random.pick([NaN, Infinity, -Infinity])
    }
    const value = (random.word() - 2 ** 31) / 2 ** random.between(16, 40)
    return random.chance(0.1) ? Math.round(value / 1000) : value
  }

  /** The connector's clock is a little behind the broker's, or far off. */
  #receiveMs(nowMs: number): number {
    const random = this.#random
    if (!this.#plan.troubles.has('clock skew') || random.chance(0.9)) {
      return nowMs - random.between(5, 40)
    }
    return nowMs + random.pick([-DAY_MS, -HOUR_MS, -30_000, 30_000, HOUR_MS, DAY_MS])
  }

  #eventMs(nowMs: number): number {
    const random = this.#random
    const { lateShare, troubles } = this.#plan
    let lagMs = random.below(9_000)
    if (random.chance(lateShare)) {
      const reachMs = random.pick([60_000, 300_000, 2 * HOUR_MS, DAY_MS])
      lagMs = random.chance(0.05) ? DAY_MS + random.below(HOUR_MS) : random.below(reachMs)
    } else if (troubles.has('clock skew') && random.chance(0.15)) {
      lagMs = -random.pick([20_000, 70_000, HOUR_MS])
    }
    const at = Math.floor((nowMs - lagMs) / GRID_MS) * GRID_MS
    return troubles.has('bad records') && random.chance(0.01) ? -at : at
  }

  /** Bytes that nobody can read. */
  #poison(): Outgoing {
    const random = this.#random
    const { partition } = this.#someDevice()
    const good = this.#record(this.#plan.startMs).value ?? Buffer.alloc(0)
    const value = Buffer.from(good)
    switch (random.below(6)) {
      case 0:
        return { partition, key: null, value: null, telemetry: undefined }
      case 1:
        return { partition, key: null, value: Buffer.from('noise'), telemetry: undefined }
      case 2:
        return { partition, key: null, value: value.subarray(0, 3), telemetry: undefined }
      case 3:
        return { partition, key: null, value: value.subarray(0, -1), telemetry: undefined }
      case 4:
        value.writeUInt32BE(SCHEMA_IDS.nobodys, 1)
        return { partition, key: null, value, telemetry: undefined }
      default: {
        const odd = this.#lopsided()
        return { partition, key: null, value: odd, telemetry: undefined }
      }
    }
  }

  /** What Avro cannot forbid: more times than values. */
  #lopsided(): Buffer {
    const telemetry = { ...tickRecord(this.#plan.startMs), tenant: 'acme', device: 'd0' }
    telemetry.numbers = [{ metric: 'm0', t0: this.#plan.startMs, dt: [0, 1, 2], v: [1] }]
    return today.encode(telemetry)
  }

  #someDevice(): Device {
    const found = this.#random.some(this.#devices)
    if (found === undefined) throw new Error('a world has at least one device')
    return found
  }
}
