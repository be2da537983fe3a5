/** One reconciliation: wait until all is counted, read what is stored, compare, report. */
import { systemClock } from '../../platform/clock.ts'
import { TELEMETRY } from '../../schemas/topics.ts'
import type { Ledger } from '../ledger.ts'
import { printTable } from '../report.ts'
import { type StackFile, partOf } from '../stack-file.ts'
import { readStored } from './clickhouse-reader.ts'
import { type Verdict, compare } from './compare.ts'
import { kafkaLog, withLogAdmin } from '../kafka-log.ts'
import { waitUntilCounted } from './quiescence.ts'

/** The consumer group whose commits say what is counted. */
const ROLLUP_GROUP = 'rollup'

export async function reconcile(
  options: Readonly<{ stack: StackFile; ledger: Ledger; limitMs: number }>,
): Promise<Verdict & { waitedMs: number }> {
  const { stack, ledger, limitMs } = options
  const kafka = partOf(stack, 'kafka')
  const waitedMs = await withLogAdmin(kafkaLog(kafka.brokers), (admin) =>
    waitUntilCounted({
      admin,
      topic: `${kafka.topicPrefix}${TELEMETRY.name}`,
      group: `${kafka.topicPrefix}${ROLLUP_GROUP}`,
      clock: systemClock,
      limitMs,
    }),
  )
  const stored = await readStored(partOf(stack, 'clickhouse'), ledger.header.prefix)
  return { ...compare(ledger, stored), waitedMs: Math.round(waitedMs) }
}

export function printVerdict(verdict: Verdict): void {
  printTable([
    ['ledger against tables', 'count'],
    ['messages sent', verdict.messagesSent],
    ['messages acknowledged', verdict.messagesAcked],
    ['samples acknowledged', verdict.samplesAcked],
    ['samples stored', verdict.samplesStored],
    ['windows checked', verdict.windowsChecked],
    ['lost', verdict.lost],
    ['duplicated, stamped', verdict.duplicatedStamped],
    ['duplicated, unstamped (at least once)', verdict.duplicatedUnstamped],
    ['invented', verdict.invented],
    ['wrong values', verdict.wrongValues],
    ['wrong rollups', verdict.wrongRollups],
  ])
  for (const example of verdict.examples) process.stdout.write(`  ${example}\n`)
}
