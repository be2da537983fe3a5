/** Cuts the records of a batch in two, so that the one that Kafka refuses can be found. */
import { PackedRecords } from './packed-records.ts'
import { forEachRecord } from './record-batch-reader.ts'

/** Some records of a batch and where the first of them stood in it. */
export type Part = Readonly<{ records: PackedRecords; firstIndex: number }>

/** Two halves in order with the records' own times; nothing where there is one record or none. */
export function halvesOf({ records, firstIndex }: Part): Part[] {
  const count = records.length
  if (count < 2) return []
  const middle = count >>> 1
  const halves = [
    { records: new PackedRecords(records.partition), firstIndex },
    { records: new PackedRecords(records.partition), firstIndex: firstIndex + middle },
  ] as const
  const batch = {
    baseOffset: 0,
    lastOffset: count - 1,
    count,
    baseTimestampMs: records.baseTimestampMs,
    maxTimestampMs: records.timestampMsMax,
    appendTime: false,
    producerId: -1n,
    inTransaction: false,
    isControl: false,
    compression: 0,
    body: records.bytes(),
  }
  forEachRecord(batch, 0, (record) => {
    const half = record.offset < middle ? halves[0] : halves[1]
    half.records.append(record, record.timestampMs)
  })
  return [...halves]
}
