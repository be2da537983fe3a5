/**
 * Which records of the log replay which. A record that could not be read when it was passed was
 * dead-lettered, and its replay counts in its place; the letter that told so may have been purged
 * since. The replay names its original in its headers, for as long as it is in the log.
 */
import type { LogAdmin } from '../../../platform/kafka/log.ts'
import { REPLAY_HEADERS } from '../../dead-letters/letter.ts'
import { type LogRangePorts, type OffsetSpan, readLogRange } from './log-range.ts'

type Place = Readonly<{ partition: number; offset: number }>

/** Reads the records that are asked for; answers whether one replays the other, or both a third. */
export async function readReplays(
  ports: LogRangePorts & Readonly<{ admin: Pick<LogAdmin, 'offsetRange'> }>,
  topic: string,
  places: readonly Place[],
): Promise<(replay: Place, of: Place) => boolean> {
  // A row can name any offset; who waited for one that is not in the log would wait for long.
  const range = places.length === 0 ? undefined : await ports.admin.offsetRange(topic)
  const present = places.filter(({ partition, offset }) => {
    const { earliest = 0, end = 0 } = range?.get(partition) ?? {}
    return offset >= earliest && offset < end
  })
  const wanted = new Set(present.map(nameOf))
  const originals = new Map<string, string>()
  await readLogRange(
    ports,
    { topic, name: 'audit-replays', spans: spansOf(present) },
    async (batch) => {
      batch.forEach(({ offset, headers }) => {
        const name = nameOf({ partition: batch.partition, offset })
        const origin = wanted.has(name) ? headers[REPLAY_HEADERS.origin]?.toString() : undefined
        if (origin?.startsWith(`${topic}/`) === true)
          originals.set(name, origin.slice(topic.length + 1))
      })
    },
  )
  const originalOf = (name: string): string => originals.get(name) ?? name
  return (replay, of) =>
    originals.has(nameOf(replay)) && originalOf(nameOf(replay)) === originalOf(nameOf(of))
}

const nameOf = ({ partition, offset }: Place): string => `${partition}/${offset}`

function spansOf(places: readonly Place[]): Map<number, OffsetSpan> {
  const spans = new Map<number, OffsetSpan>()
  for (const { partition, offset } of places) {
    const { from, to } = spans.get(partition) ?? { from: offset, to: offset + 1 }
    spans.set(partition, { from: Math.min(from, offset), to: Math.max(to, offset + 1) })
  }
  return spans
}
