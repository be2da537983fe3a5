/**
 * A person's word that a paused partition goes on: every record before the given offset may be
 * dead-lettered, however many there are. It is kept as the offset that a group of its own commits
 * (`<prefix>rollup.passes`), so that it reaches whichever process owns the partition, now or later.
 */
import type { Log, LogAdmin } from '../../platform/kafka/log.ts'

export const passesGroup = (topicPrefix: string): string => `${topicPrefix}rollup.passes`

/** Up to where each partition may pass; none for partitions that nobody spoke of. */
export async function readPasses(
  admin: LogAdmin,
  group: string,
  topic: string,
): Promise<Map<number, number>> {
  const committed = await admin.committed(group, topic)
  return new Map([...committed].map(([partition, { offset }]) => [partition, offset]))
}

/** Resolves when the word is kept. Waits while another person's word is being written. */
export async function writePass(
  log: Log,
  pass: Readonly<{ group: string; topic: string; partition: number; upTo: number }>,
): Promise<void> {
  const { group, topic, partition, upTo } = pass
  let keep: (kept: Promise<boolean>) => void = () => {}
  const kept = new Promise<boolean>((resolve) => {
    keep = resolve
  })
  const consumer = log.consumer({
    name: 'passes',
    group,
    topics: [topic],
    handler: {
      async assigned(assignment) {
        if (assignment.partition === partition) {
          keep(consumer.commit(assignment, { offset: upTo, metadata: '' }))
        }
        consumer.pause(topic, assignment.partition) // Nobody wants to read here.
        return assignment.committed?.offset ?? 0
      },
      revoked: () => {},
      batch: async () => {},
    },
  })
  await consumer.start()
  try {
    const done = await Promise.race([kept, consumer.failure])
    if (!done) await writePass(log, pass)
  } finally {
    await consumer.drain(2_000)
  }
}
