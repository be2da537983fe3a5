/**
 * The series of a partition, found by the bytes of a record: the device by tenant and name, then
 * the metric where it stood in the device's last record, or among the device's others. When too
 * many are remembered, those without an open window are forgotten: they only cost another row in
 * the series table.
 */
import { BOOLEAN, NUMBER, type TelemetryReader } from '../../schemas/telemetry-reader.ts'
import { deviceKey, partitionOf } from '../../schemas/topics.ts'
import type { SeriesKind } from '../../schemas/window-update.ts'
import { ByteIndex } from './byte-index.ts'
import { Series } from './series.ts'

type Device = {
  readonly tenant: string
  readonly name: string
  readonly series: Series[]
  /** Of each series: its metric among all metrics, and its kind, in one number. */
  readonly labels: number[]
}

const KIND_BITS = 2
const KIND_MASK = (1 << KIND_BITS) - 1
const kindOf = (code: number): SeriesKind =>
  code === NUMBER ? 'number' : code === BOOLEAN ? 'boolean' : 'text'

/** A partition, and of how many its topic has. */
type PartitionPlace = Readonly<{ partition: number; partitions: number }>

export class SeriesDirectory {
  readonly #seriesMax: number
  readonly #place: PartitionPlace
  readonly #salt: string
  #sweepAbove: number
  #index = new ByteIndex()
  #metrics = new ByteIndex()
  #devices: Device[] = []
  #size = 0
  #freeNumbers: number[] = []
  #numberEnd = 0

  /** `salt`: of the ids, as seriesIdOf takes it. */
  constructor(seriesMax: number, place: PartitionPlace, salt: string) {
    this.#seriesMax = seriesMax
    this.#place = place
    this.#salt = salt
    this.#sweepAbove = seriesMax
  }

  get size(): number {
    return this.#size
  }

  /** Series numbers are below this. */
  get numberEnd(): number {
    return this.#numberEnd
  }

  /**
   * Writes the series of each entry of the record to `into`. False: the device's records belong
   * into another partition, and nothing was written.
   */
  resolve(record: TelemetryReader, into: Series[]): boolean {
    const device = this.#deviceOf(record)
    if (device === undefined) return false
    for (let entry = 0; entry < record.entryCount; entry += 1) {
      into[entry] = this.#seriesOf(device, record, entry)
    }
    return true
  }

  /** Called between records. A sweep leaves what is open, and the next waits for twice that. */
  trim(isIdle: (series: Series) => boolean): void {
    if (this.#size <= this.#sweepAbove) return
    const [devices, index] = [this.#devices, this.#index]
    this.#devices = []
    this.#index = new ByteIndex()
    this.#size = 0
    for (const [number, device] of devices.entries()) {
      const kept = withoutIdle(device, isIdle, this.#freeNumbers)
      if (kept.series.length === 0) continue
      const key = index.keyOf(number)
      this.#devices[this.#index.add(key, 0, key.length)] = kept
      this.#size += kept.series.length
    }
    this.#sweepAbove = Math.max(this.#seriesMax, this.#size * 2)
  }

  #deviceOf(record: TelemetryReader): Device | undefined {
    const { bytes, identityFrom, identityTo } = record
    const known = this.#devices[this.#index.find(bytes, identityFrom, identityTo)]
    if (known !== undefined) return known
    const { tenant, device: name } = record
    const key = identityOf(tenant, name)
    // Other bytes may spell the same names; those stay unknown, and come here each time.
    const spelled = this.#devices[this.#index.find(key, 0, key.length)]
    if (spelled !== undefined) return spelled
    // Asked once for a device that is at home; others are never remembered.
    if (!this.#isAtHome(tenant, name)) return undefined
    const device = { tenant, name, series: [], labels: [] }
    this.#devices[this.#index.add(key, 0, key.length)] = device
    return device
  }

  #isAtHome(tenant: string, device: string): boolean {
    const { partition, partitions } = this.#place
    return partitionOf(Buffer.from(deviceKey(tenant, device)), partitions) === partition
  }

  #seriesOf(device: Device, record: TelemetryReader, entry: number): Series {
    const from = record.metricFrom[entry] ?? 0
    const to = record.metricTo[entry] ?? 0
    const kind = record.kinds[entry] ?? 0
    // A device names its metrics in the same order, time after time.
    const series = device.series[entry]
    if (series !== undefined) {
      const guess = device.labels[entry] ?? 0
      const isSame = this.#metrics.equals(guess >>> KIND_BITS, record.bytes, from, to)
      if (isSame && (guess & KIND_MASK) === kind) return series
    }
    const found = this.#metrics.find(record.bytes, from, to)
    const metric = found < 0 ? this.#metricOf(record.metricOf(entry)) : found
    const label = (metric << KIND_BITS) | kind
    const known = device.series[device.labels.indexOf(label)]
    return known ?? this.#add(device, label, record, entry)
  }

  #metricOf(name: string): number {
    const key = Buffer.from(name)
    const found = this.#metrics.find(key, 0, key.length)
    return found < 0 ? this.#metrics.add(key, 0, key.length) : found
  }

  #add(device: Device, label: number, record: TelemetryReader, entry: number): Series {
    const number = this.#freeNumbers.pop() ?? this.#numberEnd
    if (number === this.#numberEnd) this.#numberEnd += 1
    const kind = kindOf(record.kinds[entry] ?? 0)
    // Names that are only known as bytes so far become strings here, once.
    const metric = record.metricOf(entry)
    const series = new Series(device.tenant, device.name, metric, kind, number, this.#salt)
    device.series.push(series)
    device.labels.push(label)
    this.#size += 1
    return series
  }
}

/**
 * Tenant and device as Avro spells them. A length may be padded, and bytes that are not UTF-8 read as
 * U+FFFD: two Series of one name would fold its windows twice, and each would overwrite the other.
 */
function identityOf(tenant: string, device: string): Buffer {
  const parts: Buffer[] = []
  for (const text of [tenant, device]) {
    const bytes = Buffer.from(text)
    const length: number[] = []
    let left = bytes.length * 2
    for (; left >= 0x80; left = Math.floor(left / 0x80)) length.push((left % 0x80) | 0x80)
    parts.push(Buffer.from([...length, left]), bytes)
  }
  return Buffer.concat(parts)
}

function withoutIdle(
  device: Device,
  isIdle: (series: Series) => boolean,
  freeNumbers: number[],
): Device {
  const kept: Device = { ...device, series: [], labels: [] }
  for (const [at, series] of device.series.entries()) {
    if (isIdle(series)) {
      freeNumbers.push(series.number)
      continue
    }
    kept.series.push(series)
    kept.labels.push(device.labels[at] ?? -1)
  }
  return kept
}
