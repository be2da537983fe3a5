/** Reprocessing on real servers, beside a pipeline that goes on: what comes out equals brute force. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../platform/clock.ts'
import { operator } from '../operator/testing/operator.ts'
import { emptyRecord } from '../testing/fold-log.ts'
import { type Deployment, deploy } from '../testing/stack-deployment.ts'

const FAST = {
  flushIntervalMs: '100',
  tickIntervalMs: '200',
  liveIntervalMs: '1000',
  latenessMs: '1000',
}
const DEVICES = 4
const HOUR_MS = 3_600_000
const TABLES = ['rollup_10s', 'rollup_1m', 'rollup_1h', 'rollup_1d']

/** Each device's samples over some hours: a number every 20 s with some jitter, and a text. */
async function upload(deployment: Deployment, fromMs: number, toMs: number, salt: number) {
  const sent: Promise<void>[] = []
  for (let device = 0; device < DEVICES; device += 1) {
    for (let at = fromMs; at < toMs; at += 600_000) {
      const record = emptyRecord(`d${device}`, systemClock.nowMs())
      const dt = Array.from({ length: 30 }, (_, k) => k * 20_000 + ((k * 7 + salt * 13) % 19) * 97)
      record.numbers.push({ metric: 'm', t0: at, dt, v: dt.map((ms) => Math.sin(ms + salt) * 1e3) })
      record.strings.push({ metric: 's', t0: at, dt: [salt], v: [`state ${salt} ${device}`] })
      sent.push(deployment.send(record))
    }
  }
  await Promise.all(sent)
}

/** Versions of the rows of windows that no pipeline is still about to close. */
const versions = async ({ clickhouse }: Deployment, beforeMs: number) => {
  const found = new Map<string, number>()
  for (const table of TABLES) {
    const rows = await clickhouse.select<{ key: string; ver: string }>(
      `SELECT concat(tenant, ' ', toString(series), ' ', toString(w)) AS key, toString(ver) AS ver FROM ${table} FINAL
       WHERE w < toDateTime(${Math.floor(beforeMs / 1000)})`,
    )
    for (const { key, ver } of rows) found.set(`${table} ${key}`, Number(ver))
  }
  return found
}

test('rows folded by other rules are made anew at their versions, while late data come in', async () => {
  const deployment = await deploy(2, FAST)
  const pipeline = await deployment.start()
  const nowMs = systemClock.nowMs()
  const fromMs = nowMs - 30 * HOUR_MS
  const pastMs = nowMs - 2 * HOUR_MS
  const range = ['--from', String(fromMs), '--to', String(nowMs)]
  try {
    await upload(deployment, nowMs - 600_000, nowMs, 0) // The present, so that the past is late.
    await Promise.race([deployment.settled(), pipeline.failure])
    await upload(deployment, fromMs, nowMs - 27 * HOUR_MS, 1)
    await Promise.race([deployment.settled(), pipeline.failure])
    assert.deepEqual(await deployment.differences(), [])

    const right = await operator(deployment, ['reprocess', ...range])
    assert.equal(right.status, 0, right.text)
    assert.deepEqual(changes(right.json), [0, 0], right.text)

    // What another release would have left behind: other sums in the past, under the same versions.
    for (const table of TABLES) {
      await deployment.clickhouse.command(
        `ALTER TABLE ${table} UPDATE sum = sum + 1, m2 = 0 WHERE w < toDateTime(${Math.floor(pastMs / 1000)})`,
        {},
        { settings: { mutations_sync: 2 } },
      )
    }
    assert.ok((await deployment.differences()).length > 500)
    const before = await versions(deployment, pastMs)

    const dry = await operator(deployment, ['reprocess', '--dry-run', ...range])
    assert.equal(dry.status, 0, dry.text)
    assert.ok((changes(dry.json)[0] ?? 0) > 500, dry.text)
    assert.match(dry.text, /\nHours and days were compared with minutes as they are now/)
    assert.doesNotMatch(dry.text, /left alone/, 'every row has its samples')
    assert.deepEqual(await versions(deployment, pastMs), before, 'a dry run writes nothing')

    const [done] = await Promise.all([
      operator(deployment, ['reprocess', ...range]),
      upload(deployment, fromMs, nowMs - 28 * HOUR_MS, 2), // Late, into the very windows.
    ])
    assert.equal(done.status, 0, done.text)
    await Promise.race([deployment.settled(), pipeline.failure])
    assert.deepEqual(await deployment.differences(), [])
    for (const [key, version] of await versions(deployment, pastMs)) {
      assert.ok(version >= (before.get(key) ?? 0), `${key} went back`)
    }
    const again = await operator(deployment, ['reprocess', ...range])
    assert.deepEqual(changes(again.json), [0, 0], again.text)
  } finally {
    await pipeline.stop()
    await deployment.close()
  }
})

/** Rows rewritten or added: folded windows, then merged ones. */
function changes(json: Record<string, unknown>): number[] {
  return ['folded', 'merged'].map((part) => {
    const counts = json[part] as Record<string, number>
    return (counts['rewritten'] ?? NaN) + (counts['added'] ?? NaN)
  })
}
