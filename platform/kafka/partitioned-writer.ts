/**
 * Gathers records per partition and sends one batch per partition at a time, in order, the same
 * bytes until the log has them. Knows nothing of Kafka: a BatchSender does the sending.
 *
 *   idle lane     append ──▶ open batch ──(end of this turn of the event loop)──▶ sent at once
 *   busy lane     append ──▶ open batch ──(full: sealed)──▶ waits for the answer ──▶ sent
 *
 * A request costs as much as a hundred records, so a lane that sent one less than lingerMs ago
 * waits for the next beat, which all lanes share, or until it has ENOUGH_RECORDS. Where waiting
 * brings nothing, as with one device that sends its next message when the last is acknowledged, it
 * stops, and tries again later.
 */
import type { Clock } from '../clock.ts'
import { Failure } from '../failure.ts'
import { ByteGate } from '../flow/byte-gate.ts'
import type { OutgoingRecord } from './log.ts'
import { PackedRecords } from './packed-records.ts'
import { type Part, halvesOf } from './split-records.ts'

/**
 * What became of a batch. 'refused' means that the log will never take these bytes; 'stopped' that
 * nobody will know, because the writer was closed. Sending again and again is the sender's part.
 */
export type SendOutcome =
  | Readonly<{ kind: 'stored' }>
  | Readonly<{ kind: 'refused'; failure: Failure }>
  | Readonly<{ kind: 'stopped' }>
export type BatchSender = (topic: string, records: PackedRecords) => Promise<SendOutcome>

export type PartitionedWriterOptions = Readonly<{
  send: BatchSender
  clock: Clock
  queuedBytesMax: number
  lingerMs: number
  /** Called after each batch that was stored, with the age of its oldest record. */
  stored?: (ageMs: number) => void
}>

/** A batch is sealed before it grows past this; a larger single record travels alone. */
export const BATCH_BYTES_MAX = 512 * 1024
/** With so many, one record more hardly makes the request cheaper. */
export const ENOUGH_RECORDS = 128
/** After a wait in vain, so many batches go without one. */
const UNWAITED_BATCHES = 16
/** Slabs that batches gave back, kept for the next ones. */
const SPARE_SLABS_MAX = 32

/**
 * Records that a log may refuse for what they are get a promise of their own: large ones, and ones
 * without key or value (a compacted topic takes no null keys). All others share the batch's.
 */
const SHARED_PROMISE_BYTES_MAX = 32 * 1024

type Pledge = Readonly<{ promise: Promise<void>; settle: (failure: Failure | undefined) => void }>
type Batch = {
  readonly records: PackedRecords
  readonly openedAtMs: number
  readonly shared: Pledge
  /** By index in the batch. */
  own: Map<number, Pledge> | undefined
}

type Lane = {
  readonly topic: string
  readonly partition: number
  open: Batch | undefined
  readonly sealed: Batch[]
  sending: boolean
  scheduled: boolean
  sentAtMs: number
  /** Set while the open batch waits for company: ends the wait. */
  wake: (() => void) | undefined
  /** Batches that go without a wait, because the last wait was in vain. */
  unwaited: number
}

export class PartitionedWriter {
  readonly #options: PartitionedWriterOptions
  readonly #gate: ByteGate
  readonly #lanes = new Map<string, Lane[]>()
  readonly #spareSlabs: Buffer[] = []
  readonly #idleWaiters: (() => void)[] = []
  #batchesOut = 0
  #closed = false

  constructor(options: PartitionedWriterOptions) {
    this.#options = options
    const highBytes = options.queuedBytesMax
    this.#gate = new ByteGate({ highBytes, lowBytes: Math.floor(highBytes / 2) })
  }

  get queuedBytes(): number {
    return this.#gate.bytes
  }

  hasRoom(): boolean {
    return this.#gate.hasRoom()
  }

  room(): Promise<void> {
    return this.#gate.room()
  }

  /** Copies the record; resolves when stored, rejects with a Failure when refused or closed. */
  append(topic: string, partition: number, record: OutgoingRecord): Promise<void> {
    if (this.#closed) return Promise.reject(closedFailure())
    const lane = this.#lane(topic, partition)
    const nowMs = this.#options.clock.nowMs()
    const bytes = recordBytes(record)
    const batch = this.#batchFor(lane, bytes, nowMs)
    const index = batch.records.length
    this.#gate.add(batch.records.append(record, nowMs))
    if (!lane.sending && !lane.scheduled) this.#schedule(lane)
    else if (index + 1 >= ENOUGH_RECORDS) lane.wake?.()
    const ordinary =
      record.key !== null && record.value !== null && bytes <= SHARED_PROMISE_BYTES_MAX
    if (ordinary) return batch.shared.promise
    const pledge = newPledge()
    batch.own ??= new Map()
    batch.own.set(index, pledge)
    return pledge.promise
  }

  /** Refuses new records from now on. What waits for company goes at once. */
  close(): void {
    this.#closed = true
    for (const lanes of this.#lanes.values()) for (const lane of lanes) lane?.wake?.()
  }

  /** Resolves when no record waits for an answer. */
  idle(): Promise<void> {
    if (this.#batchesOut === 0) return Promise.resolve()
    return new Promise((resolve) => this.#idleWaiters.push(resolve))
  }

  #lane(topic: string, partition: number): Lane {
    let lanes = this.#lanes.get(topic)
    if (lanes === undefined) this.#lanes.set(topic, (lanes = []))
    return (lanes[partition] ??= {
      topic,
      partition,
      open: undefined,
      sealed: [],
      sending: false,
      scheduled: false,
      sentAtMs: -Infinity,
      wake: undefined,
      unwaited: 0,
    })
  }

  #batchFor(lane: Lane, bytes: number, nowMs: number): Batch {
    const open = lane.open
    if (open !== undefined) {
      if (open.records.byteLength + bytes <= BATCH_BYTES_MAX) return open
      lane.sealed.push(open)
      lane.wake?.()
    }
    this.#batchesOut++
    const records = new PackedRecords(lane.partition, this.#spareSlabs.pop())
    return (lane.open = { records, openedAtMs: nowMs, shared: newPledge(), own: undefined })
  }

  #schedule(lane: Lane): void {
    lane.scheduled = true
    const send = () => {
      lane.scheduled = false
      if (!lane.sending) void this.#sendAll(lane)
    }
    const waitMs = this.#waitMs(lane)
    // setImmediate, not now: what the same read of a socket brings shares one request.
    if (waitMs < 1) setImmediate(send)
    else this.#sendAfter(lane, waitMs, send)
  }

  #waitMs(lane: Lane): number {
    const { clock, lingerMs } = this.#options
    const gathered = lane.open?.records.length ?? 0
    if (this.#closed || lane.sealed.length > 0 || gathered >= ENOUGH_RECORDS) return 0
    const nowMs = clock.monotonicMs()
    if (nowMs - lane.sentAtMs >= lingerMs) return 0
    // One beat for all lanes: their requests and answers share wake-ups here and in Kafka.
    if (lane.unwaited === 0) return lingerMs - (nowMs % lingerMs)
    lane.unwaited--
    return 0
  }

  #sendAfter(lane: Lane, waitMs: number, send: () => void): void {
    const before = lane.open?.records.length ?? 0
    const timer = setTimeout(() => {
      lane.wake = undefined
      const inVain = lane.open?.records.length === before
      // A short wait, for the rest of a beat, says nothing.
      if (inVain && 2 * waitMs >= this.#options.lingerMs) lane.unwaited = UNWAITED_BATCHES
      send()
    }, waitMs)
    lane.wake = () => {
      lane.wake = undefined
      clearTimeout(timer)
      setImmediate(send)
    }
  }

  /** Sends one batch and schedules the next: the loop is the event loop's. */
  async #sendAll(lane: Lane): Promise<void> {
    const batch = lane.sealed.shift() ?? lane.open
    if (batch === undefined) return
    if (batch === lane.open) lane.open = undefined
    lane.sending = true
    lane.sentAtMs = this.#options.clock.monotonicMs()
    await this.#send(lane, batch)
    lane.sending = false
    if (lane.sealed.length > 0 || lane.open !== undefined) this.#schedule(lane)
  }

  async #send(lane: Lane, batch: Batch): Promise<void> {
    const { send, stored, clock } = this.#options
    const outcome = await send(lane.topic, batch.records)
    if (outcome.kind === 'stored') stored?.(clock.nowMs() - batch.openedAtMs)
    if (outcome.kind === 'refused') await this.#sendApart(lane, batch, outcome.failure)
    else settleAll(batch, outcome.kind === 'stopped' ? closedFailure() : undefined)
    this.#finish(batch)
  }

  /**
   * Some record of the batch is not welcome: halves go separately, in order, until it stands
   * alone and everything else is stored. A culprit with a promise of its own is refused alone; one
   * that shares its promise is the rare case where its neighbours are told of a refusal as well.
   */
  async #sendApart(lane: Lane, batch: Batch, failure: Failure): Promise<void> {
    const { send } = this.#options
    let sharedFailure: Failure | undefined
    const refuse = (index: number, why: Failure) => {
      const own = batch.own?.get(index)
      if (own === undefined) sharedFailure ??= why
      else own.settle(why)
    }
    const pending: Part[] = halvesOf({ records: batch.records, firstIndex: 0 })
    if (pending.length === 0) refuse(0, failure)
    for (let part = pending.shift(); part !== undefined; part = pending.shift()) {
      const outcome = await send(lane.topic, part.records)
      if (outcome.kind === 'stored') continue
      if (outcome.kind === 'stopped') return settleAll(batch, closedFailure())
      const halves = halvesOf(part)
      if (halves.length === 0) refuse(part.firstIndex, outcome.failure)
      else pending.unshift(...halves)
    }
    batch.shared.settle(sharedFailure)
    for (const own of batch.own?.values() ?? []) own.settle(undefined) // No effect on refused ones.
  }

  #finish(batch: Batch): void {
    this.#gate.remove(batch.records.byteLength)
    if (this.#spareSlabs.length < SPARE_SLABS_MAX) this.#spareSlabs.push(batch.records.takeSlab())
    this.#batchesOut--
    if (this.#batchesOut > 0) return
    for (const resolve of this.#idleWaiters.splice(0)) resolve()
  }
}

function newPledge(): Pledge {
  let settle: Pledge['settle'] = () => undefined
  const promise = new Promise<void>((resolve, reject) => {
    settle = (failure) => (failure === undefined ? resolve() : reject(failure))
  })
  // Nobody may hold the shared promise of a batch; those who hold one see its rejection.
  promise.catch(() => undefined)
  return { promise, settle }
}

function settleAll(batch: Batch, failure: Failure | undefined): void {
  batch.shared.settle(failure)
  for (const own of batch.own?.values() ?? []) own.settle(failure)
}

function closedFailure(): Failure {
  return new Failure('shutting_down', 'the log writer is closed')
}

/** Key and value; framing and headers are small beside the limits this is compared with. */
function recordBytes(record: OutgoingRecord): number {
  return (record.key?.length ?? 0) + (record.value?.length ?? 0)
}
