/**
 * Which record batches of a fetch hold what a producer took back (KIP-98). Kafka lists the aborted
 * transactions that a fetch touches in the order of their ends; kafkajs takes it for the order of
 * their beginnings, and of several that began before the fetch it knows one only.
 */
import { forEachRecord, type RawBatch } from './record-batch-reader.ts'

/** As kafkajs decodes it: numbers are text. */
export type AbortedTransaction = Readonly<{ producerId: string; firstOffset: string }>

const MARKER_TYPE_AT = 2
const ABORT = 0

/** The batches, in the order of the log, without markers and without what was aborted. */
export function committedBatches(
  batches: readonly RawBatch[],
  aborted: readonly AbortedTransaction[],
): readonly RawBatch[] {
  if (!batches.some(({ isControl, inTransaction }) => isControl || inTransaction)) return batches
  const toBegin = aborted
    .map(({ producerId, firstOffset }) => ({ producerId, firstOffset: Number(firstOffset) }))
    .toSorted((one, two) => one.firstOffset - two.firstOffset)
  const open = new Set<string>()
  return batches.filter((batch) => {
    while (toBegin[0] !== undefined && toBegin[0].firstOffset <= batch.lastOffset) {
      open.add(toBegin[0].producerId)
      toBegin.shift()
    }
    const producerId = String(batch.producerId)
    if (!batch.isControl) return !(batch.inTransaction && open.has(producerId))
    if (endsInAbort(batch)) open.delete(producerId)
    return false
  })
}

/** The key of a marker is its version and its type, two bytes each. */
function endsInAbort(marker: RawBatch): boolean {
  let aborts = false
  forEachRecord(marker, 0, ({ key }) => {
    aborts = key !== null && key.length >= 4 && key.readInt16BE(MARKER_TYPE_AT) === ABORT
  })
  return aborts
}
