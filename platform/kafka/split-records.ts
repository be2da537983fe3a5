/** Reads packed records back: to cut a batch in two, so that the one that Kafka refuses is found. */
import { PackedRecords } from './packed-records.ts'
import { forEachRecord, type RawBatch } from './record-batch-reader.ts'

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
  forEachRecord(rawBatchOf(records), 0, (record) => {
    const half = record.offset < middle ? halves[0] : halves[1]
    half.records.append(record, record.timestampMs)
  })
  return [...halves]
}

/** The records as a batch that forEachRecord() walks; offsets count from 0. */
export function rawBatchOf(records: PackedRecords): RawBatch {
  return {
    baseOffset: 0,
    lastOffset: records.length - 1,
    count: records.length,
    baseTimestampMs: records.baseTimestampMs,
    maxTimestampMs: records.timestampMsMax,
    appendTime: false,
    producerId: -1n,
    inTransaction: false,
    isControl: false,
    compression: 0,
    body: records.bytes(),
  }
}
