/** Silence of the log is noticed, and only that; by a clock that the test owns, without waiting. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { LogBatch, LogConsumerHandler, LogRecord } from '../../platform/kafka/log.ts'
import { Metrics } from '../../platform/observe/metrics.ts'
import type { LiveStatus } from '../contract/live.ts'
import { silentLogger } from '../testing/api-fixture.ts'
import { LatestValues } from './latest-values.ts'
import { FLOW_CHECK_MS, LiveFeed } from './live-feed.ts'
import { LiveFlow } from './live-flow.ts'
import { LiveHub } from './live-hub.ts'
import { RecentWindows } from './recent-windows.ts'

const DAY_START_MS = 1_700_000_000_000

const DETAIL = 'nothing comes from the log: Kafka or the pipeline is down'
const standing = (sinceMs: number): LiveStatus => ({ flowing: false, sinceMs, detail: DETAIL })

class Played {
  readonly flow = new LiveFlow({ silenceMs: 15_000, checkEveryMs: 1_000 })
  readonly told: LiveStatus[] = []
  ms = 0

  constructor() {
    this.flow.watch((status) => this.told.push(status))
    this.check()
  }

  check(): void {
    this.flow.check({ monotonicMs: this.ms, nowMs: DAY_START_MS + this.ms })
  }

  pass(seconds: number): void {
    for (let second = 0; second < seconds; second++) {
      this.ms += 1_000
      this.check()
    }
  }

  hear(): void {
    this.flow.heard(DAY_START_MS + this.ms)
  }
}

it('a feed with a record every five seconds flows, and nobody is told anything', () => {
  const played = new Played()
  for (let tick = 0; tick < 20; tick++) {
    played.hear()
    played.pass(5)
  }
  assert.deepEqual([played.flow.status, played.told], [{ flowing: true }, []])
})

it('silence is told once, with the time of the last record, and its end at once', () => {
  const played = new Played()
  played.pass(3)
  played.hear()
  played.pass(15)
  assert.deepEqual(played.told, [])
  played.pass(60)
  assert.deepEqual(played.told, [standing(DAY_START_MS + 3_000)])
  played.hear()
  assert.deepEqual(played.told.slice(1), [{ flowing: true }])
  played.pass(20)
  assert.equal(played.flow.status.flowing, false)
})

it('a process that never heard a record says since when it listens', () => {
  const played = new Played()
  played.pass(15)
  assert.deepEqual(played.told, [standing(DAY_START_MS)])
})

it('a process that was stopped for a minute does not take that for silence', () => {
  const played = new Played()
  played.hear()
  played.pass(5)
  played.ms += 60_000
  played.check()
  assert.equal(played.flow.status.flowing, true)
})

it('old records that are read late are heard now, and stand for their own time', () => {
  const played = new Played()
  played.flow.heard(DAY_START_MS - 50_000)
  played.pass(16)
  assert.deepEqual(played.flow.status, standing(DAY_START_MS - 50_000))
})

it('a feed whose log falls silent says so until a record comes, and stays ready', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  let ms = 0
  const pass = (byMs: number): void => {
    for (const endMs = ms + byMs; ms < endMs;) {
      ms += FLOW_CHECK_MS
      t.mock.timers.tick(FLOW_CHECK_MS)
    }
  }
  const { feed, handler, metrics } = paperFeed(() => ms)
  await feed.start()
  assert.match(feed.notReady() ?? '', /not being read yet/)
  await handler().assigned({
    topic: 't.telemetry.v1',
    partition: 0,
    epoch: 1,
    committed: undefined,
  })
  assert.equal(feed.notReady(), undefined)
  pass(14_000)
  await handler().batch(batchOf('t.telemetry.v1', DAY_START_MS + 14_000))
  pass(15_000)
  assert.equal(await flowing(metrics), '1')
  // What the pipeline publishes last is no sign of life: a silent fleet changes no window.
  await handler().batch(batchOf('t.rollups.v1', DAY_START_MS + 15_000))
  pass(1_000)
  assert.equal(await flowing(metrics), '0')
  assert.equal(feed.notReady(), undefined)
  await handler().batch(batchOf('t.telemetry.v1', DAY_START_MS + 60_000))
  pass(1_000)
  assert.equal(await flowing(metrics), '1')
  await feed.drain(0)
})

async function flowing(metrics: Metrics): Promise<string | undefined> {
  const { body } = await metrics.expose()
  return /^weir_live_flowing\{[^}]*\} (\d)$/m.exec(body)?.[1]
}

/** A feed on a log of paper, whose consumer is the test. */
function paperFeed(monotonicMs: () => number): {
  feed: LiveFeed
  handler: () => LogConsumerHandler
  metrics: Metrics
} {
  let handler: LogConsumerHandler | undefined
  const clock = { monotonicMs, nowMs: () => DAY_START_MS + monotonicMs() }
  const nothing = async (): Promise<void> => {}
  const never = new Promise<never>(() => {})
  const service = { name: 'paper', failure: never, start: nothing, drain: nothing }
  const metrics = new Metrics({ role: 'api', processMetrics: false })
  const latest = new LatestValues({ seriesMax: 10, metricsPerDeviceMax: 10 })
  const decoder = {
    decode: () => ({ kind: 'frame_invalid', detail: 'paper' }) as const,
    learn: async () => false,
  }
  const feed = new LiveFeed({
    log: {
      writer: () => assert.fail('nobody writes'),
      consumer: (options) => {
        handler = options.handler
        return { ...service, commit: async () => false, pause: () => {}, resume: () => {} }
      },
      admin: () => ({
        ensureTopics: nothing,
        partitionCount: async () => 1,
        committed: async () => new Map(),
        offsetsAt: async () => new Map([[0, 0]]),
        offsetRange: async () => new Map(),
        deleteRecords: nothing,
        close: nothing,
      }),
    },
    topicPrefix: 't.',
    telemetry: decoder,
    rollups: decoder,
    hub: new LiveHub({
      latest,
      windows: new RecentWindows(10),
      metrics,
      clock,
      snapshotItemsMax: 10,
    }),
    flow: new LiveFlow({ silenceMs: 15_000, checkEveryMs: FLOW_CHECK_MS }),
    acceptedAgeMs: 1,
    metrics,
    logger: silentLogger,
    clock,
  })
  return {
    feed,
    metrics,
    handler: () => {
      assert.ok(handler)
      return handler
    },
  }
}

let nextOffset = 0

function batchOf(topic: string, timestampMs: number): LogBatch {
  const offset = nextOffset++
  const record: LogRecord = { offset, timestampMs, key: null, value: Buffer.alloc(1), headers: {} }
  const [firstOffset, lastOffset, endOffset] = [offset, offset, offset + 1]
  const forEach = (visit: (record: LogRecord) => void): void => visit(record)
  return { topic, partition: 0, firstOffset, lastOffset, endOffset, bytes: 1, forEach }
}
