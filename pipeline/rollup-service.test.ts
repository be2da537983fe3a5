/** The wired pipeline on a log and tables in memory: what it does when the world misbehaves. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../platform/clock.ts'
import { Failure } from '../platform/failure.ts'
import type { RollupSink } from './sinks/rollup-sink.ts'
import { BASE_MS, rollupWorld, SERIES, unreliable } from './testing/rollup-world.ts'
import type { Checkpoint } from '../platform/kafka/log.ts'
import { checkpointMetadata, type FoldCheckpoint, parseCheckpoint } from './window/checkpoint.ts'

test('while the tables are away nothing is committed, and when they are back nothing is missing', async () => {
  const { push, start, sink, until, position, settled, minute } = rollupWorld()
  let refused = 0
  let away = true
  const port = unreliable(sink, () => {
    if (!away) return undefined
    refused += 1
    return new Failure('unavailable', 'away')
  })
  push(BASE_MS)
  const { stop } = await start({ sink: port })
  await until(() => refused >= 2)
  push(BASE_MS + 1_000)
  assert.equal(position(), -1)
  away = false
  await settled()
  assert.equal(minute(BASE_MS)?.aggregate.count, 2)
  await stop()
})

test('while the tables refuse every row nothing is committed, and nothing is dead-lettered', async () => {
  const { push, start, sink, position, until, settled, minute } = rollupWorld()
  push(BASE_MS)
  let refused = 0
  const port = unreliable(sink, () => {
    refused += 1
    return refused <= 3 ? new Failure('internal', 'type mismatch') : undefined
  })
  const { stop } = await start({ sink: port })
  await until(() => refused > 2)
  assert.equal(position(), -1)
  await settled()
  assert.equal(minute(BASE_MS)?.aggregate.count, 1)
  await stop()
})

test('reading pauses while too many rows wait for the tables', async () => {
  const { push, start, sink, settled, partition, until } = rollupWorld()
  let away = true
  let refused = 0
  const port = unreliable(sink, () => {
    if (!away) return undefined
    refused += 1
    return new Failure('unavailable', 'away')
  })
  for (let n = 0; n < 4_000; n += 1) push(BASE_MS + n)
  // Room for about 1,000 rows: the log holds the rest until the tables are back.
  const { stop } = await start({
    sink: port,
    options: { flushBytes: 1_000, flushQueuedBytesMax: 150_000 },
  })
  await until(() => refused >= 3)
  assert.equal(partition.end, 4_000)
  away = false
  await settled()
  assert.equal(sink.samples(SERIES).length, 4_000)
  await stop()
})

test('metadata of another program makes every window come from raw', async () => {
  const { push, start, settled, commit, minute } = rollupWorld()
  push(BASE_MS)
  push(BASE_MS + 90_000)
  const first = await start()
  await settled()
  await first.stop()
  commit({ offset: 2, metadata: 'somebody else' })
  push(BASE_MS + 1_000, BASE_MS + 90_000)
  const second = await start()
  await settled()
  assert.deepEqual([minute(BASE_MS)?.aggregate.count, minute(BASE_MS)?.final], [2, true])
  await second.stop()
})

const DAY_MS = 86_400_000

/** A minute, and an hour later a sample of that minute; appended so many days ago. */
function pushLate(push: (tsMs: number, appendMs: number) => void, daysAgo: number): number {
  const minuteMs = BASE_MS - Math.round(daysAgo * DAY_MS)
  for (const tsMs of [minuteMs, minuteMs + 3_600_000, minuteMs + 1_000]) {
    push(tsMs, minuteMs + 3_600_000)
  }
  return minuteMs
}

test('late samples are corrected as long as the log may have kept them', async () => {
  const { push, start, settled, minute } = rollupWorld()
  const minuteMs = pushLate(push, 7.9)
  const { stop } = await start()
  await settled()
  const row = minute(minuteMs)
  assert.deepEqual([row?.aggregate.count, row?.final], [2, true])
  assert.ok((row?.correctedAtMs ?? 0) > 0)
  await stop()
})

test('a late sample is corrected soon, however long the beat', { timeout: 10_000 }, async () => {
  const { push, start, settled, minute } = rollupWorld()
  const minuteMs = pushLate(push, 1)
  const { stop } = await start({ options: { flushIntervalMs: 60_000 } })
  await settled()
  assert.equal(minute(minuteMs)?.aggregate.count, 2)
  await stop()
})

test('late samples are counted by how late they are, and closed windows by how late they close', async () => {
  const { push, start, settled } = rollupWorld()
  push(BASE_MS)
  push(BASE_MS + 90_000)
  // What is behind C, which is here at BASE_MS + 75 s.
  for (const behindMs of [20_000, 59_999, 60_000, 3_600_000, 86_400_000, 200_000_000]) {
    push(BASE_MS + 75_000 - behindMs, BASE_MS + 90_000)
  }
  const { stop, metric } = await start()
  await settled()
  const late = (behind: string) => metric('weir_pipeline_late_samples_total', `behind="${behind}"`)
  assert.deepEqual(
    await Promise.all(['under_1m', 'under_1h', 'under_1d', 'over_1d'].map(late)),
    [2, 1, 1, 2],
  )
  // One batch closed several windows, and the 10 s one of BASE_MS was the oldest.
  assert.equal(await metric('weir_window_close_delay_seconds_count'), 1)
  const delay = await metric('weir_window_close_delay_seconds_sum')
  const ageSeconds = (systemClock.nowMs() - (BASE_MS + 10_000)) / 1_000
  assert(delay <= ageSeconds && delay > ageSeconds - 10, `${delay} of ${ageSeconds}`)
  assert.equal(await metric('weir_pipeline_settle_seconds_count'), 1)
  await stop()
})

/** A process whose corrections do not get any further until the answer is called. */
async function heldWorld() {
  const all = rollupWorld()
  const { push, start, sink, until } = all
  let goOn = (): void => {}
  const raw = new Promise<void>((resolve) => {
    goOn = resolve
  })
  const stuck: RollupSink = {
    ...unreliable(sink, () => undefined),
    readSamples: async (cells, begin) => {
      await raw
      return sink.readSamples(cells, begin)
    },
  }
  pushLate(push, 1)
  const process = await start({ sink: stuck })
  const held = () =>
    process.metric('weir_pipeline_partition_paused', 'partition="0",reason="settling_behind"')
  await until(async () => {
    push(BASE_MS)
    return (await held()) === 1
  })
  push(BASE_MS + 500) // Not read before it goes on.
  return { ...all, ...process, held, goOn }
}

test('a partition whose settling is behind is held and says so, until it goes on', async () => {
  const { held, goOn, lines, until, settled, stop } = await heldWorld()
  const logged = (text: string): number => lines.filter((line) => line.includes(text)).length
  assert.equal(logged('a partition is held'), 1)
  assert.equal(logged('a held partition goes on'), 0)
  goOn()
  await until(async () => (await held()) === 0)
  assert.equal(logged('a held partition goes on'), 1)
  await settled()
  await stop()
})

test('a held partition that somebody else took further meanwhile is read again', async () => {
  const { goOn, commit, topics, until, settled, stop, push, partition, lines } = await heldWorld()
  const metadata = checkpointMetadata({
    resumeOffset: partition.end,
    position: partition.end,
    closedToMs: BASE_MS,
    maxTsMs: BASE_MS,
    cascadedToMs: BASE_MS,
  })
  commit({ offset: partition.end, metadata })
  const guest = { topics: [], rebalanced: () => {} }
  topics.group('rollup').join(guest)
  // Its lane is as full as before, so that it may be held again at once.
  await until(() => lines.some((line) => line.includes('a held partition goes on')))
  goOn()
  push(BASE_MS + 1_000)
  await settled()
  await stop()
})

test('late samples that waited longer end the service, which names the option', async () => {
  const { push, start, position } = rollupWorld()
  pushLate(push, 9)
  const { failure, stop } = await start()
  await assert.rejects(failure, /in the log for 8 days, longer than --log-retention-days/)
  assert.equal(position(), -1)
  await stop()
})

test('records that the log lost before they were read cannot make a window smaller', async () => {
  const { push, start, settled, partition, minute, commit } = rollupWorld()
  for (let n = 0; n < 4; n += 1) push(BASE_MS + n)
  const first = await start()
  await settled()
  await first.stop()
  // Retention takes what a restart would have rebuilt the open window from.
  partition.truncate(3)
  commit({
    offset: 0,
    metadata: checkpointMetadata({
      resumeOffset: 0,
      position: 4,
      closedToMs: BASE_MS - 15_000,
      maxTsMs: BASE_MS,
      cascadedToMs: 0,
    }),
  })
  push(BASE_MS + 10)
  const second = await start()
  await settled()
  assert.equal(minute(BASE_MS)?.aggregate.count, 5)
  await second.stop()
})

const IMPOSSIBLE: Readonly<Record<string, (c: FoldCheckpoint) => Checkpoint>> = {
  'whose offset was moved to P alone': (c) => ({
    offset: c.position,
    metadata: checkpointMetadata(c),
  }),
  'that says records passed, and no time': (c) => ({
    offset: c.position,
    metadata: `v2;${c.position};0;0`,
  }),
  'whose P is before its S': (c) => ({
    offset: c.resumeOffset,
    metadata: checkpointMetadata({ ...c, position: c.resumeOffset - 1 }),
  }),
  'that closed what no clock has reached': (c) => ({
    offset: c.position,
    metadata: checkpointMetadata({
      ...c,
      resumeOffset: c.position,
      closedToMs: Number.MAX_SAFE_INTEGER,
    }),
  }),
}
for (const [which, wrong] of Object.entries(IMPOSSIBLE)) {
  test(`a commit ${which} is not believed: windows are left to raw, loudly`, async () => {
    const { push, start, settled, committed, commit, minute } = rollupWorld()
    for (let n = 0; n < 4; n += 1) push(BASE_MS + n - 60_000)
    for (let n = 0; n < 4; n += 1) push(BASE_MS + n + 20_000)
    const first = await start()
    await settled()
    await first.stop()
    const at = committed() ?? assert.fail('no commit')
    const checkpoint = parseCheckpoint(at.offset, at.metadata) ?? assert.fail('not readable')
    assert.ok(checkpoint.resumeOffset > 0 && checkpoint.resumeOffset < checkpoint.position)
    commit(wrong(checkpoint))
    push(BASE_MS + 30_000)
    const second = await start()
    await settled()
    assert.equal(minute(BASE_MS)?.aggregate.count, 5)
    assert.equal(minute(BASE_MS)?.final, true, 'a window that is left to raw is one that closed')
    assert.equal(await second.metric('weir_offset_gap_total'), 1)
    assert.match(second.lines.join(''), /commit metadata is not readable/)
    await second.stop()
  })
}

test('a log shorter than what was counted stops the service instead of counting other records', async () => {
  const { push, start, commit } = rollupWorld()
  push(BASE_MS)
  const metadata = checkpointMetadata({
    resumeOffset: 5,
    position: 9,
    closedToMs: BASE_MS,
    maxTsMs: BASE_MS,
    cascadedToMs: 0,
  })
  commit({ offset: 5, metadata })
  const { failure, stop } = await start()
  await assert.rejects(failure, /lost its tail/)
  await stop()
})

test('two processes share and hand over partitions without losing or repeating a sample', async () => {
  const { push, start, settled, sink, minute } = rollupWorld()
  for (let n = 0; n < 50; n += 1) push(BASE_MS + n)
  const first = await start()
  const second = await start()
  for (let n = 50; n < 100; n += 1) push(BASE_MS + n)
  await first.stop()
  for (let n = 100; n < 150; n += 1) push(BASE_MS + n)
  await settled()
  assert.equal(minute(BASE_MS)?.aggregate.count, 150)
  assert.equal(sink.samples(SERIES).length, 150)
  await second.stop()
})

test('two series under one id are refused before a sample of either is stored', async () => {
  const { push, start, sink, position } = rollupWorld()
  push(BASE_MS)
  const colliding: RollupSink = {
    ...unreliable(sink, () => undefined),
    collisions: async () => ['a'],
  }
  const { failure, stop } = await start({ sink: colliding })
  await assert.rejects(failure, /same id/)
  assert.equal(sink.sampleSeriesCount, 0)
  assert.equal(position(), -1)
  await stop()
})

test('an offset is passed only when its dead letter is in the log', async () => {
  const { partition, start, settled, topics } = rollupWorld()
  partition.push({ timestampMs: BASE_MS, key: null, value: Buffer.from('noise'), headers: {} })
  const { stop } = await start()
  await settled()
  const letters = topics.partition('telemetry.v1.dlq', 0).read(0, 10)
  assert.deepEqual(letters.map(({ value }) => value?.toString()), ['noise']) // prettier-ignore
  await stop()
})
