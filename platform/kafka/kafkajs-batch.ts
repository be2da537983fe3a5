/** LogBatch over what kafkajs hands to eachBatch: undecoded record batches, walked on demand. */
import type { Batch } from 'kafkajs'
import { type AbortedTransaction, committedBatches } from './aborted-transactions.ts'
import type { BatchMessage } from './fetched-batches.ts'
import type { LogBatch, LogRecord } from './log.ts'
import type { PartitionReading } from './partition-reading.ts'
import { forEachRecord, type RawBatch } from './record-batch-reader.ts'

/** A Batch of kafkajs-replacements.ts, whose messages are those of fetched-batches.ts. */
type FetchedBatch = Readonly<{
  fetchedOffset: string
  messages: readonly BatchMessage[]
  abortedTransactions: readonly AbortedTransaction[]
}>
type Steps = PartitionReading['steps']

export class KafkaLogBatch implements LogBatch {
  readonly topic: string
  readonly partition: number
  readonly firstOffset: number
  readonly lastOffset: number
  readonly endOffset: number
  readonly bytes: number
  /** The offset that Kafka was asked for. */
  readonly askedFrom: number
  /** The largest time of the newest record batch. */
  readonly newestMs: number
  /** The first offset, when the ones between the wanted one and it are not in the log. */
  readonly jumpsTo: number | undefined
  /** Where the fetch does not go on by one. */
  readonly steps: Steps
  /** What is wrong with the bytes that follow `lastOffset`; undefined when nothing is. */
  readonly damage: string | undefined
  /** What follows `lastOffset` is right if the log ends later than the fetch says. */
  readonly needsLaterEnd: boolean
  readonly #committed: readonly RawBatch[]

  /** `logEnd` is what the log itself says; a fetch may report an older one than that of its bytes. */
  constructor(
    batch: Batch,
    { position, steps }: Pick<PartitionReading, 'position' | 'steps'>,
    logEnd?: number,
  ) {
    const fetched = batch as unknown as FetchedBatch
    this.topic = batch.topic
    this.partition = batch.partition
    this.endOffset = Math.max(Number(batch.highWatermark), logEnd ?? 0)
    this.askedFrom = Number(fetched.fetchedOffset)
    // An answer to an older question begins before what is wanted by now.
    const from = Math.min(this.askedFrom, position)
    const run = fitting(fetched.messages, { from, end: this.endOffset, believed: steps })
    const { batches, misfit } = run
    this.steps = run.steps
    this.needsLaterEnd = misfit?.kind === 'beyond_end' && logEnd === undefined
    this.damage = this.needsLaterEnd ? undefined : misfit?.text
    this.#committed = committedBatches(batches, fetched.abortedTransactions)
    const first = batches[0]?.baseOffset ?? position
    this.firstOffset = Math.max(first, position)
    this.lastOffset = batches.at(-1)?.lastOffset ?? position - 1
    this.bytes = batches.reduce((sum, { body }) => sum + body.length, 0)
    this.newestMs = batches.at(-1)?.maxTimestampMs ?? 0
    this.jumpsTo = first > position ? first : undefined
  }

  forEach(visit: (record: LogRecord) => void): void {
    for (const batch of this.#committed) forEachRecord(batch, this.firstOffset, visit)
  }
}

type Misfit = Readonly<{ kind: 'damage' | 'beyond_end'; text: string }>

/**
 * The batches up to the first that does not fit. The checksum leaves out the base offset; that it
 * is right is seen by its neighbours: a batch goes on where the one before it ended. Where one does
 * not (compaction and retention leave holes, and a reader may begin in the middle of a batch), the
 * last fetch must have brought the same step.
 */
function fitting(
  messages: readonly BatchMessage[],
  { from, end, believed }: Readonly<{ from: number; end: number; believed: Steps }>,
): Readonly<{ batches: RawBatch[]; steps: Steps; misfit: Misfit | undefined }> {
  const batches: RawBatch[] = []
  const steps = new Map<number, number>()
  let next = from
  let isBelieved = true
  for (const [at, { content }] of messages.entries()) {
    const misfit = misfitOf(content, { due: next, isFirst: at === 0, end })
    if (misfit !== undefined || 'damage' in content) {
      // What follows a step that is new is fetched again anyway.
      return { batches, steps, misfit: isBelieved ? misfit : undefined }
    }
    const { baseOffset, lastOffset } = content
    if (baseOffset !== next) {
      steps.set(next, baseOffset)
      isBelieved &&= believed.get(next) === baseOffset
    }
    if (isBelieved) batches.push(content)
    next = lastOffset + 1
  }
  return { batches, steps, misfit: undefined }
}

function misfitOf(
  content: BatchMessage['content'],
  { due, isFirst, end }: Readonly<{ due: number; isFirst: boolean; end: number }>,
): Misfit | undefined {
  if ('damage' in content) return { kind: 'damage', text: content.damage }
  const { baseOffset, lastOffset } = content
  // Kafka answers with the batch that the offset lies in.
  if (lastOffset < due || (baseOffset < due && !isFirst)) {
    const text = `offsets ${baseOffset} to ${lastOffset} do not fit where ${due} is due`
    return { kind: 'damage', text }
  }
  if (lastOffset < end) return undefined
  const text = `offsets ${baseOffset} to ${lastOffset} do not fit a log that ends at ${end}`
  return { kind: 'beyond_end', text }
}
