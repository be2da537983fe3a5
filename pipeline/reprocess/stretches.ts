/**
 * How much is read at once. The tables are sorted by series within a day, so that whoever asks for
 * an hour, or for a partition, makes ClickHouse look through the whole day: few large questions are
 * quick, and memory bounds how large they may be.
 */
import { DAY_MS } from '../../schemas/telemetry.ts'
import { windowStartMs } from '../window/tumbling-windows.ts'

const HOUR_MS = 3_600_000
/** Windows of this many samples are held at once: about 150 MB where each has its own windows. */
const SAMPLES_MAX = 250_000

/** Samples of one hour of one partition, redeliveries included. */
export type HourCount = Readonly<{ partition: number; startMs: number; samples: number }>
/** [startMs, startMs + spanMs) of some partitions: a day, an hour, or an hour of one partition. */
export type Stretch = Readonly<{
  partitions: readonly number[]
  startMs: number
  spanMs: number
  samples: number
}>

/** Covers all of the hours, the oldest first. */
export function stretchesOf(hours: readonly HourCount[], samplesMax = SAMPLES_MAX): Stretch[] {
  return grouped(hours, DAY_MS).flatMap((ofDay) => {
    const day = together(ofDay, DAY_MS)
    if (day.samples <= samplesMax) return [day]
    return grouped(ofDay, HOUR_MS).flatMap((ofHour) => {
      const hour = together(ofHour, HOUR_MS)
      return hour.samples <= samplesMax ? [hour] : ofHour.map((one) => together([one], HOUR_MS))
    })
  })
}

/** The days that are too large to be read as a whole. */
export function largeDays(
  hours: readonly HourCount[],
  samplesMax = SAMPLES_MAX,
): ReadonlySet<number> {
  const days = grouped(hours, DAY_MS).map((ofDay) => together(ofDay, DAY_MS))
  return new Set(days.filter(({ samples }) => samples > samplesMax).map(({ startMs }) => startMs))
}

function grouped(hours: readonly HourCount[], sizeMs: number): HourCount[][] {
  const groups = new Map<number, HourCount[]>()
  for (const hour of hours) {
    const startMs = windowStartMs(hour.startMs, sizeMs)
    const group = groups.get(startMs) ?? []
    group.push(hour)
    groups.set(startMs, group)
  }
  return [...groups].sort(([a], [b]) => a - b).map(([, group]) => group)
}

function together(hours: readonly HourCount[], spanMs: number): Stretch {
  const samples = hours.reduce((sum, hour) => sum + hour.samples, 0)
  const partitions = [...new Set(hours.map(({ partition }) => partition))]
  const startMs = windowStartMs(hours[0]?.startMs ?? 0, spanMs)
  return { partitions, startMs, spanMs, samples }
}
