/**
 * In which order a set of messages reaches the log: in order of event time, or with some of them
 * delivered again, out of order and late. What a plan really holds is measured by a model of the
 * watermark of its own, which does not know how the plan was made.
 */
import { deviceKey, partitionOf } from '../../schemas/topics.ts'
import { type Random, randomOf } from '../random.ts'
import { DAY_MS, type Message } from './message-set.ts'

/** Shares of all samples. */
export const SHARES = { again: 0.1, outOfOrder: 0.3, late: 0.05 } as const
export const LATE_MS_MAX = 3 * DAY_MS
const LATE_MS_MIN = 25_000
/** The smallest window: a sample behind its end is late, whatever larger one may be open. */
const WINDOW_MS = 10_000

export type Delivery = Readonly<{ message: Message; partition: number }>
export type PlanOptions = Readonly<{ seed: string; partitions: number; latenessMs: number }>

export function inOrder(messages: readonly Message[], partitions: number): Delivery[] {
  return messages.map((message) => ({
    message,
    partition: partitionOfMessage(message, partitions),
  }))
}

/** `messages` in order of event time. Throws where they are too few for these shares. */
export function disordered(messages: readonly Message[], options: PlanOptions): Delivery[] {
  return new DisorderPlan(messages, options).deliveries()
}

function partitionOfMessage({ record }: Message, partitions: number): number {
  return partitionOf(Buffer.from(deviceKey(record.tenant, record.device)), partitions)
}

/** When a message is delivered: with the message of this index, behind it where `behind` is not 0. */
type Place = { at: number; behind: number }

class DisorderPlan {
  readonly #messages: readonly Message[]
  readonly #latenessMs: number
  readonly #random: Random
  readonly #samples: number
  readonly #deliveries: readonly Delivery[]
  readonly #places: Place[]
  readonly #all: readonly number[]
  /** Messages that others are measured by: these stay where they are. */
  readonly #pinned = new Set<number>()
  /** Indexes of each partition and of each device, in order of time. */
  readonly #ofPartition = new Map<number, number[]>()
  readonly #ofDevice = new Map<string, number[]>()

  constructor(messages: readonly Message[], { seed, partitions, latenessMs }: PlanOptions) {
    this.#messages = messages
    this.#latenessMs = latenessMs
    this.#random = randomOf(`${seed}/disorder`)
    this.#samples = messages.reduce((sum, message) => sum + message.samples, 0)
    this.#deliveries = inOrder(messages, partitions)
    this.#places = messages.map((_, at) => ({ at, behind: 0 }))
    this.#all = [...messages.keys()]
    for (const [index, { message, partition }] of this.#deliveries.entries()) {
      listed(this.#ofPartition, partition).push(index)
      listed(this.#ofDevice, deviceOf(message)).push(index)
    }
  }

  deliveries(): Delivery[] {
    this.#moveShare(SHARES.late, (index) => this.#laterOvertaker(index))
    this.#moveShare(SHARES.outOfOrder, (index) => this.#nextOvertaker(index))
    const places = this.#places.map((place, index) => ({ ...place, index }))
    const all = [...places, ...this.#redelivered()]
    all.sort((a, b) => a.at - b.at || a.behind - b.behind)
    return all.flatMap(({ index }) => this.#deliveries[index] ?? [])
  }

  /** Moves messages behind others, which stay, until their samples are this share. */
  #moveShare(share: number, overtakerOf: (index: number) => number | undefined): void {
    let missing = Math.ceil(share * this.#samples)
    for (const index of shuffled(this.#messages.length, this.#random)) {
      if (missing <= 0) return
      if (!this.#stays(index) || this.#pinned.has(index)) continue
      const at = overtakerOf(index)
      if (at === undefined) continue
      this.#places[index] = { at, behind: this.#random.between(0.1, 1) }
      this.#pinned.add(at)
      missing -= this.#messages[index]?.samples ?? 0
    }
    if (missing > 0) throw new RangeError(`too few messages to move ${share} of their samples`)
  }

  #stays(index: number | undefined): boolean {
    return index !== undefined && this.#places[index]?.behind === 0
  }

  /** A message of the same partition with which the window of this one is closed. */
  #laterOvertaker(index: number): number | undefined {
    const tsMs = this.#timeOf(index)
    const closedMs = windowEndMs(tsMs) + this.#latenessMs
    const fromMs = tsMs + logUniform(this.#random, LATE_MS_MIN, LATE_MS_MAX)
    const neighbours = listed(this.#ofPartition, this.#deliveries[index]?.partition)
    let at = this.#firstFrom(neighbours, Math.max(closedMs, fromMs))
    while (at < neighbours.length && !this.#stays(neighbours[at])) at += 1
    return this.#timeOf(neighbours[at]) - tsMs <= LATE_MS_MAX ? neighbours[at] : undefined
  }

  /** A newer message of the same device, with which the window of this one is still open. */
  #nextOvertaker(index: number): number | undefined {
    const tsMs = this.#timeOf(index)
    const neighbours = listed(this.#ofDevice, deviceOf(this.#messages[index]))
    const from = this.#firstFrom(neighbours, tsMs + 1)
    const to = this.#firstFrom(neighbours, tsMs + this.#latenessMs)
    const newer = neighbours.slice(from, to).filter((each) => this.#stays(each))
    return newer[this.#random.integer(newer.length)]
  }

  /** Second deliveries: moments after the first one, or days. */
  #redelivered(): (Place & { index: number })[] {
    const again: (Place & { index: number })[] = []
    let missing = Math.ceil(SHARES.again * this.#samples)
    for (const index of shuffled(this.#messages.length, this.#random)) {
      if (missing <= 0) break
      const { at, behind } = this.#places[index] ?? { at: index, behind: 0 }
      const fromMs = this.#timeOf(at) + logUniform(this.#random, 1, LATE_MS_MAX)
      const later = this.#firstFrom(this.#all, fromMs)
      again.push({ index, at: Math.max(at, later), behind: behind + this.#random.between(0.1, 1) })
      missing -= this.#messages[index]?.samples ?? 0
    }
    return again
  }

  #timeOf(index: number | undefined): number {
    return index === undefined ? Infinity : (this.#messages[index]?.tsMs ?? Infinity)
  }

  /** Position of the first of these messages at or after the time. */
  #firstFrom(indexes: readonly number[], tsMs: number): number {
    let [low, high] = [0, indexes.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#timeOf(indexes[middle]) < tsMs) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** What a plan holds, in samples. */
export type Disorder = Readonly<{
  samples: number
  /** With those that are delivered again. */
  delivered: number
  again: number
  /** First deliveries behind a newer message of their device, not late. */
  outOfOrder: number
  /** First deliveries behind the watermark that closed their window. */
  late: number
  /** The same of those that are delivered again: nobody can know then that they are known. */
  lateAgain: number
  /** How far the latest was behind the newest time of its partition. */
  lateMsMax: number
}>

/** Follows each partition's watermark along the deliveries. */
export function disorderOf(deliveries: readonly Delivery[], latenessMs: number): Disorder {
  const newestOfPartition = new Map<number, number>()
  const newestOfDevice = new Map<string, number>()
  const seen = new Set<Message>()
  const sums = { samples: 0, delivered: 0, again: 0, outOfOrder: 0, late: 0, lateAgain: 0 }
  let lateMsMax = 0
  for (const { message, partition } of deliveries) {
    const { tsMs, samples } = message
    const newestMs = newestOfPartition.get(partition) ?? 0
    const device = deviceOf(message)
    const isAgain = seen.has(message)
    const isLate = windowEndMs(tsMs) <= newestMs - latenessMs
    const isOvertaken = tsMs < (newestOfDevice.get(device) ?? 0)
    sums.delivered += samples
    if (isAgain) sums.again += samples
    else sums.samples += samples
    if (isLate) sums[isAgain ? 'lateAgain' : 'late'] += samples
    if (isLate && !isAgain) lateMsMax = Math.max(lateMsMax, newestMs - tsMs)
    if (isOvertaken && !isLate && !isAgain) sums.outOfOrder += samples
    seen.add(message)
    newestOfPartition.set(partition, Math.max(newestMs, tsMs))
    newestOfDevice.set(device, Math.max(newestOfDevice.get(device) ?? 0, tsMs))
  }
  return { ...sums, lateMsMax }
}

const windowEndMs = (tsMs: number): number => Math.floor(tsMs / WINDOW_MS) * WINDOW_MS + WINDOW_MS

const deviceOf = (message: Message | undefined): string =>
  message === undefined ? '' : deviceKey(message.record.tenant, message.record.device)

function listed<K>(lists: Map<K, number[]>, key: K | undefined): number[] {
  if (key === undefined) return []
  const list = lists.get(key) ?? []
  lists.set(key, list)
  return list
}

const logUniform = (random: Random, from: number, to: number): number =>
  from * (to / from) ** random.next()

/** The whole numbers below `count`, shuffled (Fisher and Yates). */
function shuffled(count: number, random: Random): number[] {
  const all = Array.from({ length: count }, (_, index) => index)
  for (let last = count - 1; last > 0; last -= 1) {
    const other = random.integer(last + 1)
    const swapped = all[last] ?? 0
    all[last] = all[other] ?? 0
    all[other] = swapped
  }
  return all
}
