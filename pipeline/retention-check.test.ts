/** What the pipeline asks of tables and log before it trusts them. */
import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { Failure } from '../platform/failure.ts'
import { DAY_MS } from '../schemas/telemetry.ts'
import { checkedSink, RetentionCheck } from './retention-check.ts'
import { retryingSink } from './retrying-sink.ts'
import { MemorySink } from './testing/memory-sink.ts'
import { systemTimers } from './timers.ts'

const PROMISED = { rawRetentionDays: 400, logRetentionDays: 7 }

let days: Map<string, number>
let config: Map<string, string>
let asked: number
let nowMs: number
let unavailable: number
beforeEach(() => {
  days = new Map([
    ['samples', 400],
    ['rollup_10s', 1],
    ['rollup_1m', 400],
    ['rollup_1h', 1830],
  ])
  config = new Map([
    ['retention.ms', String(7 * DAY_MS)],
    ['segment.ms', String(DAY_MS)],
  ])
  asked = 0
  nowMs = 0
  unavailable = 0
})

const newCheck = () =>
  new RetentionCheck(
    {
      tableDays: async () => {
        asked += 1
        if (unavailable-- > 0) throw new Failure('unavailable', 'ClickHouse did not answer')
        return days
      },
      topicConfig: async () => config,
      clock: { monotonicMs: () => nowMs },
    },
    PROMISED,
  )

async function refusal(check = newCheck()): Promise<string> {
  const error = await check.mustHold().then(
    () => undefined,
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof Failure, String(error))
  assert.equal(error.code, 'config_invalid')
  return error.message
}

describe('retention as promised', () => {
  it('holds where tables keep more and the log keeps less, or the tables keep all', async () => {
    await newCheck().mustHold()
    days.set('samples', Infinity)
    days.set('rollup_1m', 1000)
    config.set('retention.ms', String(DAY_MS))
    await newCheck().mustHold()
  })

  for (const table of ['samples', 'rollup_1m', 'rollup_1h']) {
    it(`is broken by ${table} that keeps a day less`, async () => {
      days.set(table, 399)
      const text = await refusal()
      assert.match(text, new RegExp(`table ${table} keeps its rows for 399 days`))
      assert.match(text, /--raw-retention-days \(WEIR_RAW_RETENTION_DAYS\) says 400/)
    })
  }

  const logs: readonly (readonly [string, string, string])[] = [
    ['keeps its records longer', 'retention.ms', String(7 * DAY_MS + 1)],
    ['keeps its records for ever', 'retention.ms', '-1'],
    ['has segments of a week', 'segment.ms', String(7 * DAY_MS)],
  ]
  for (const [what, name, value] of logs) {
    it(`is broken by a log that ${what}`, async () => {
      config.set(name, value)
      assert.match(await refusal(), /--log-retention-days \(WEIR_LOG_RETENTION_DAYS\) says 7/)
    })
  }

  it('is not known of a log that says nothing', async () => {
    config.clear()
    assert.match(await refusal(), /for ever/)
  })

  it('is not known before the tables are there: that may pass', async () => {
    days.delete('samples')
    await assert.rejects(newCheck().mustHold(), (error) => {
      assert.ok(error instanceof Failure)
      return error.code === 'unavailable' && error.retry === 'later'
    })
  })
})

describe('a checked sink', () => {
  it('asks once, then again only after a while, and finds what was changed meanwhile', async () => {
    const check = newCheck()
    const sink = checkedSink(new MemorySink(), check)
    for (let k = 0; k < 5; k += 1) await sink.insertSeries([])
    assert.equal(asked, 1)
    days.set('samples', 30)
    nowMs += 600_000
    await assert.rejects(sink.insertSeries([]), /samples keeps its rows for 30 days/)
    await assert.rejects(sink.insertSeries([]), /30 days/)
  })

  it('waits with every row until the tables answer, and ends with the first broken promise', async () => {
    unavailable = 2
    const memory = new MemorySink()
    let retried = 0
    const sink = retryingSink(checkedSink(memory, newCheck()), {
      timers: systemTimers,
      stopped: () => false,
      retrying: () => (retried += 1),
    })
    await sink.insertSeries([])
    assert.equal(retried, 2)
    nowMs += 600_000
    days.set('samples', 30)
    await assert.rejects(sink.insertSeries([]), /30 days/)
    assert.equal(retried, 2)
  })
})
