/** The newest append time of each partition, found without reading a record. */
import type { LogAdmin } from '../platform/kafka/log.ts'

const TIME_BITS = 43

/**
 * By halving: a time is reached when some record was appended at or after it. Exact, also where a
 * broker's clock stepped back; some forty requests, for starts that happen almost never.
 */
export async function largestAppendMs(
  admin: LogAdmin,
  topic: string,
  partition: number,
): Promise<number> {
  const end = (await admin.offsetRange(topic)).get(partition)?.end ?? 0
  let reached = 0
  for (let step = 2 ** (TIME_BITS - 1); step >= 1; step /= 2) {
    const offset = (await admin.offsetsAt(topic, reached + step)).get(partition)
    if (offset !== undefined && offset < end) reached += step
  }
  return reached
}
