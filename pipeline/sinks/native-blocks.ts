/** Rows of the pipeline as blocks of ClickHouse's Native format: columns that lie ready are sent. */
import { NativeBlock } from '../../platform/clickhouse/native-writer.ts'
import type { NumberedMessage, RawRows } from '../window/raw-rows.ts'
import type { RollupRows } from '../window/rollup-row.ts'
import type { Series, SeriesRef } from '../window/series.ts'
import { invWords } from '../window/window-version.ts'

export function seriesBlock(series: readonly Series[]): NativeBlock {
  return seriesColumns(new NativeBlock(series.length), series)
    .string(
      'device',
      series.map((each) => each.device),
    )
    .string(
      'metric',
      series.map((each) => each.metric),
    )
    .string(
      'kind',
      series.map((each) => each.kind),
    )
}

export function sampleBlock(raw: RawRows, withShifts: boolean): NativeBlock {
  const block = seriesColumns(new NativeBlock(raw.count), raw.series)
    .dateTime64('ts', raw.tsMs)
    .f64('value', raw.values)
    .u8('flags', raw.flags)
    .u16('part', raw.partition)
    .u64FromNumbers('off', raw.offsets)
    .u64FromWords('inv', invWords(raw.offsets, raw.count))
  textColumn(block, 'text', raw.texts)
  if (!withShifts) return block
  const shifts = new Float64Array(raw.count)
  for (const [row, shiftMs] of raw.shiftsMs) shifts[row] = shiftMs
  return block.i64FromNumbers('shift', shifts)
}

export function messageBlock(messages: readonly NumberedMessage[]): NativeBlock {
  const offsets = messages.map((each) => each.offset)
  return tenantColumn(new NativeBlock(messages.length), messages)
    .string(
      'device',
      messages.map((each) => each.device),
    )
    .i64FromNumbers(
      'seq',
      messages.map((each) => each.seq),
    )
    .dateTime64(
      'ts',
      messages.map((each) => each.recvTs),
    )
    .u16(
      'part',
      Uint16Array.from(messages, (each) => each.partition),
    )
    .u64FromNumbers('off', offsets)
    .u64FromWords('inv', invWords(offsets, offsets.length))
}

export function rollupBlock(rows: RollupRows<SeriesRef>): NativeBlock {
  const block = seriesColumns(new NativeBlock(rows.count), rows.series)
    .dateTime('w', rows.startsMs)
    .u32('cnt', rows.counts)
    .f64('sum', rows.sums)
    .f64('mn', rows.mins)
    .f64('mx', rows.maxs)
    .f64('first', rows.firsts)
    .f64('last', rows.lasts)
    .dateTime64('first_ts', rows.firstTsMs)
    .dateTime64('last_ts', rows.lastTsMs)
    .f64('m2', rows.m2s)
    .f64('integral', rows.integrals)
    .mapI16U32('sketch', rows.sketchEnds, rows.sketchBins, rows.sketchCounts)
    .u8('final', rows.finals)
    .u16('part', rows.partitions)
    .dateTime64('corrected_at', rows.correctedAtMs)
    .u64FromNumbers('ver', rows.versions)
  textColumn(block, 'first_text', rows.firstTexts)
  textColumn(block, 'last_text', rows.lastTexts)
  return block
}

function seriesColumns(block: NativeBlock, series: readonly SeriesRef[]): NativeBlock {
  const words = new Uint32Array(block.rows * 2)
  let at = 0
  for (const { id } of series) {
    words[at] = id.low
    words[at + 1] = id.high
    at += 2
  }
  return tenantColumn(block, series).u64FromWords('series', words)
}

function tenantColumn(
  block: NativeBlock,
  rows: readonly Readonly<{ tenant: string }>[],
): NativeBlock {
  const first = rows[0]?.tenant ?? ''
  if (rows.every(({ tenant }) => tenant === first)) {
    return block.lowCardinalityConstant('tenant', first)
  }
  const keys = new Map<string, number>()
  const indexes = Uint32Array.from(rows, ({ tenant }) => {
    const known = keys.get(tenant)
    if (known !== undefined) return known
    keys.set(tenant, keys.size)
    return keys.size - 1
  })
  return block.lowCardinality('tenant', [...keys.keys()], indexes)
}

function textColumn(block: NativeBlock, name: string, texts: ReadonlyMap<number, string>): void {
  if (texts.size === 0) {
    block.emptyStrings(name)
    return
  }
  block.string(
    name,
    Array.from({ length: block.rows }, (_, row) => texts.get(row)),
  )
}
