/**
 * The port to the tables, of one simulated process. An insert takes effect in its turn, whole or
 * in pieces; it may fail after none, half or all of it, and of a process that is gone it may still
 * arrive. Rows are taken at that moment, as they are then: who changes them meanwhile is caught.
 */
import type { ChildQuery, RollupSink, SeriesCells } from '../../pipeline/sinks/rollup-sink.ts'
import type { RawRows } from '../../pipeline/window/raw-rows.ts'
import type { RollupRows } from '../../pipeline/window/rollup-row.ts'
import type { SeriesRef } from '../../pipeline/window/series.ts'
import { CELL_MS } from '../../pipeline/window/tumbling-windows.ts'
import type { Owner, Scheduler } from './scheduler.ts'
import { placeKey, type SeriesRows, type SimTables, type StoredRollup } from './sim-tables.ts'
import { windowStart } from './truth.ts'

export type SinkWorld = Readonly<{
  scheduler: Scheduler
  owner: Owner
  tables: SimTables
  /** Whether this call fails for now. */
  failing: () => boolean
  /** Whether inserts take effect in pieces, or in part when they fail. */
  inPieces: boolean
  unavailable: (what: string) => Error
  putRollup: (series: SeriesRef, sizeMs: number, row: StoredRollup) => void
}>

export function simSink(world: SinkWorld): RollupSink {
  const { tables } = world
  return {
    insertSeries: (series) =>
      insert(world, 'series', series.length, (index) => {
        const each = series[index]
        if (each === undefined) return
        tables.rowsOf(each).names.add(`${each.device}/${each.metric}/${each.kind}`)
      }),
    collisions: (series) =>
      question(world, 'asks for collisions', () =>
        series.filter((each) => tables.rowsOf(each).names.size > 1).map(placeKey),
      ),
    insertSamples: (batches) =>
      insert(world, 'samples', total(batches), (index) => {
        const { batch, row } = located(batches, index)
        putSample(tables, batch, row)
      }),
    insertMessages: (messages) =>
      insert(world, 'messages', messages.length, (index) => {
        const message = messages[index]
        if (message === undefined) return
        tables.messages.set(`${message.partition}/${message.offset}`, message)
      }),
    insertRollups: (batches) => {
      const size = (batches[0]?.resolutionMs ?? 0) / 1000
      return insert(world, `rollups of ${size} s`, total(batches), (index) => {
        const { batch, row } = located(batches, index)
        putRollup(world, batch, row)
      })
    },
    readSamples: (cells, begin) =>
      question(world, 'reads samples', () => {
        const fold = begin()
        for (const { series, starts } of grouped(cells)) {
          const inCells = (tsMs: number): boolean => starts.has(windowStart(tsMs, CELL_MS))
          for (const { tsMs, value, text } of tables.readSamples(series, inCells)) {
            fold.add(series, tsMs, value, text)
          }
        }
        return fold
      }),
    parentStarts: ({ childMs, parentMs, partitions, fromMs, toMs }) =>
      question(world, `asks for windows of ${parentMs / 1000} s`, () => {
        const starts = new Set<number>()
        for (const row of tables.readAll(childMs, partitions)) {
          if (row.startMs < fromMs || row.startMs >= toMs) continue
          starts.add(windowStart(row.startMs, parentMs))
        }
        return [...starts].sort((a, b) => a - b)
      }),
    async readRollups(query, begin) {
      const { childMs } = query
      const fold = await question(world, `reads rollups of ${childMs / 1000} s`, () => {
        const rows = begin()
        for (const { place, row } of children(tables, query)) {
          rows.add({ ...row, series: place, resolutionMs: childMs })
        }
        return rows
      })
      await fold.relieve()
      return fold
    },
  }
}

function putSample(tables: SimTables, batch: RawRows, row: number): void {
  const series = batch.series[row]
  if (series === undefined) throw new Error('a raw row without its series')
  tables.putSample(series, {
    tsMs: batch.tsMs[row] ?? NaN,
    value: batch.values[row] ?? NaN,
    text: batch.texts.get(row) ?? '',
    offset: batch.offsets[row] ?? NaN,
    flags: batch.flags[row] ?? NaN,
    shiftMs: batch.shiftsMs.get(row) ?? 0,
  })
}

function putRollup(world: SinkWorld, batch: RollupRows<SeriesRef>, row: number): void {
  const { series, resolutionMs, ...rest } = batch.at(row)
  world.putRollup(series, resolutionMs, rest)
}

function* children(
  tables: SimTables,
  query: ChildQuery,
): Generator<Readonly<{ place: SeriesRows['place']; row: StoredRollup }>> {
  const { childMs, parentMs } = query
  const parentOf = ({ startMs }: StoredRollup): number => windowStart(startMs, parentMs)
  if ('partitions' in query) {
    const { partitions, startMs: fromMs, endMs = fromMs + parentMs } = query
    for (const { place } of tables.series.values()) {
      const wanted = ({ partition, startMs }: StoredRollup): boolean =>
        partitions.includes(partition) && startMs >= fromMs && startMs < endMs
      for (const row of tables.readRollups(place, childMs, wanted)) yield { place, row }
    }
    return
  }
  for (const { series, starts } of grouped(query.cells)) {
    const wanted = (row: StoredRollup): boolean => starts.has(parentOf(row))
    const { place } = tables.rowsOf(series)
    for (const row of tables.readRollups(place, childMs, wanted)) yield { place, row }
  }
}

/** A query names ids and cells: who asks for a series twice gets its rows once. */
function grouped<S extends SeriesRef>(
  cells: readonly SeriesCells<S>[],
): Iterable<{ series: S; starts: Set<number> }> {
  const groups = new Map<string, { series: S; starts: Set<number> }>()
  for (const { series, cellStartsMs } of cells) {
    const group = groups.get(placeKey(series)) ?? { series, starts: new Set() }
    groups.set(placeKey(series), group)
    group.series = series
    for (const startMs of cellStartsMs) group.starts.add(startMs)
  }
  return groups.values()
}

const total = (batches: readonly Readonly<{ count: number }>[]): number =>
  batches.reduce((sum, { count }) => sum + count, 0)

function located<B extends Readonly<{ count: number }>>(
  batches: readonly B[],
  index: number,
): Readonly<{ batch: B; row: number }> {
  let row = index
  for (const batch of batches) {
    if (row < batch.count) return { batch, row }
    row -= batch.count
  }
  throw new RangeError(`no row ${index}`)
}

/** Some rows, or all, take effect when the scheduler says so. */
function insert(
  world: SinkWorld,
  what: string,
  count: number,
  put: (index: number) => void,
): Promise<void> {
  const { scheduler, owner, inPieces } = world
  const { random } = scheduler
  const label = `inserts ${count} ${what}`

  function putSome(): void {
    const share = random.pick([0, 0.5, 1])
    for (let index = 0; index < count; index += 1) if (random.chance(share)) put(index)
  }
  function putAll(): void {
    for (let index = 0; index < count; index += 1) put(index)
  }

  return new Promise((resolve, reject) => {
    const orphan = inPieces ? putSome : putAll
    const finish = (): void => {
      putAll()
      resolve()
    }
    const run = (): void => {
      if (world.failing()) {
        if (inPieces) putSome()
        reject(world.unavailable(label))
      } else if (inPieces && random.chance(0.15)) {
        putSome()
        scheduler.post({ owner, what: label, run: finish, orphan })
      } else finish()
    }
    scheduler.post({ owner, what: label, run, orphan })
  })
}

function question<T>(world: SinkWorld, what: string, answer: () => T): Promise<T> {
  const { scheduler, owner } = world
  return scheduler.ask(owner, what, () => {
    if (world.failing()) throw world.unavailable(what)
    return answer()
  })
}
