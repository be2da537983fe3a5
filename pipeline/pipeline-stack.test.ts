/** The pipeline on real servers: what the tables show in the end equals brute force over the log. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../platform/clock.ts'
import { DEAD_LETTER_HEADERS } from '../schemas/dead-letter.ts'
import { sendMess } from './testing/messy-load.ts'
import { killed, startChild } from './testing/pipeline-child.ts'
import { type Deployment, deploy } from './testing/stack-deployment.ts'
import { emptyRecord } from './testing/fold-log.ts'
import { readTopic } from '../test/read-topic.ts'

const FAST = { flushIntervalMs: '100', tickIntervalMs: '200', liveIntervalMs: '20' }

test('late, unordered, repeated samples of every kind end in exact tables and exact live updates', async () => {
  const deployment = await deploy(3, FAST)
  const pipeline = await deployment.start()
  try {
    for (let round = 0; round < 4; round += 1) {
      await sendMess(deployment, 500, round)
      await Promise.race([deployment.settled(), pipeline.failure])
    }
    assert.deepEqual(await deployment.differences(), [])
    await assertLiveEqualsTables(deployment)
  } finally {
    await pipeline.stop()
    await deployment.close()
  }
})

/** Of every window, the update with the highest version says what the table says. */
async function assertLiveEqualsTables(deployment: Deployment): Promise<void> {
  const newest = new Map<string, { version: number; count: number; sum: number }>()
  for (const { device, windows } of await deployment.liveUpdates()) {
    for (const { metric, kind, resolutionMs, start, version, count, sum } of windows) {
      const key = `${device} ${metric} ${kind} ${resolutionMs} ${start}`
      if (version >= (newest.get(key)?.version ?? 0)) newest.set(key, { version, count, sum })
    }
  }
  type Row = { key: string; count: number; sum: number }
  const tables = [['rollup_10s', 10_000], ['rollup_1m', 60_000]] as const // prettier-ignore
  for (const [table, size] of tables) {
    const rows = await deployment.clickhouse.select<Row>(
      `SELECT concat(s.device, ' ', s.metric, ' ', s.kind, ' ${size} ', toString(toUnixTimestamp(r.w) * 1000)) AS key,
         r.cnt AS count, r.sum AS sum
       FROM (SELECT * FROM ${table} FINAL) AS r JOIN (SELECT * FROM series FINAL) AS s ON r.series = s.series`,
    )
    assert.ok(rows.length > 0)
    for (const { key, count, sum } of rows) {
      const update = newest.get(key)
      assert.deepEqual([update?.count, update?.sum], [count, sum], key)
    }
  }
}

test('a pipeline that is killed under load counts every sample exactly once', async () => {
  const deployment = await deploy(4, FAST)
  const load = sendMess(deployment, 3_000, 77)
  let child = await startChild(deployment)
  try {
    // In the middle of its work: some of it is committed, some is on the way.
    await sendMess(deployment, 500, 1)
    await killed(child)
    await sendMess(deployment, 500, 2)
    child = await startChild(deployment)
    await load
    await deployment.settled()
    assert.deepEqual(await deployment.differences(), [])
  } finally {
    await killed(child)
    await deployment.close()
  }
})

test('what cannot be counted is in the dead letters byte for byte, and the rest goes on', async () => {
  const deployment = await deploy(1, { ...FAST, schemaPatienceMs: '0' })
  const pipeline = await deployment.start()
  try {
    const nowMs = systemClock.nowMs()
    const key = Buffer.from('acme/d0')
    const good = emptyRecord('d0', nowMs)
    good.numbers.push({ metric: 'm', t0: nowMs, dt: [0], v: [1] })
    const mixed = emptyRecord('d0', nowMs)
    const dt = [-1, -2, 61_000_000, -400 * 86_400_000]
    mixed.numbers.push({ metric: 'm', t0: nowMs, dt, v: [NaN, 2, 3, 4] })
    const uneven = emptyRecord('d0', nowMs)
    uneven.numbers.push({ metric: 'm', t0: nowMs, dt: [0, 1], v: [1] })
    const unknown = Buffer.from(deployment.encoder.encode(good))
    unknown.writeUInt32BE(2 ** 31, 1)
    const bad: readonly (readonly [string, Buffer])[] = [
      ['frame_invalid', Buffer.from('hello')],
      ['frame_invalid', Buffer.alloc(0)],
      ['schema_unknown', unknown],
      ['decode_failed', deployment.encoder.encode(good).subarray(0, 20)],
      ['decode_failed', deployment.encoder.encode(uneven)],
      ['value_not_finite', deployment.encoder.encode(mixed)],
    ]
    for (const [, value] of bad) await deployment.sendRaw(0, key, value)
    await deployment.send(good)
    await Promise.race([deployment.settled(), pipeline.failure])
    const letters = await deployment.deadLetters()
    const story = (name: string) => letters.map(({ headers }) => headers[name]?.toString())
    assert.deepEqual(
      letters.map(({ value }) => value?.toString('hex')),
      bad.map(([, value]) => value.toString('hex')),
    )
    assert.deepEqual(story(DEAD_LETTER_HEADERS.reason), bad.map(([reason]) => reason)) // prettier-ignore
    // Ticks may lie between them.
    const log = await readTopic(deployment.log, deployment.topic)
    const isBad = (value: Buffer | null) => bad.some(([, each]) => value?.equals(each))
    assert.deepEqual(
      story(DEAD_LETTER_HEADERS.offset),
      log.filter(({ value }) => isBad(value)).map(({ offset }) => String(offset)),
    )
    assert.equal(story(DEAD_LETTER_HEADERS.samples).at(-1), '[0,2,3]')
    assert.ok(letters.every((letter) => letter.key?.equals(key)))
    const rows = await deployment.clickhouse.select<{ value: number }>(
      'SELECT value FROM samples FINAL ORDER BY ts',
    )
    assert.deepEqual(rows.map((row) => row.value), [2, 1]) // prettier-ignore
  } finally {
    await pipeline.stop()
    await deployment.close()
  }
})

test('a device that uploads ten weeks at once is corrected window by window in bundles', async (t) => {
  const deployment = await deploy(1, FAST)
  const pipeline = await deployment.start()
  try {
    const nowMs = systemClock.nowMs()
    const live = emptyRecord('d0', nowMs)
    live.numbers.push({ metric: 'm', t0: nowMs, dt: [0], v: [1] })
    await deployment.send(live)
    await deployment.settled()
    const startedMs = systemClock.monotonicMs()
    for (let from = 0; from < 20_000; from += 500) {
      const record = emptyRecord('d0', nowMs)
      const dt = Array.from({ length: 500 }, (_, k) => -(20_000 - from - k) * 300_000)
      record.numbers.push({ metric: 'm', t0: nowMs, dt, v: dt.map((d) => Math.sin(d)) })
      await deployment.send(record)
    }
    await Promise.race([deployment.settled(), pipeline.failure])
    t.diagnostic(`20,000 samples: ${Math.round(systemClock.monotonicMs() - startedMs)} ms`)
    assert.deepEqual(await deployment.differences(), [])
  } finally {
    await pipeline.stop()
    await deployment.close()
  }
})
