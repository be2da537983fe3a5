/** The auditor: each closed hour once, never one that is not counted yet, missed ones caught up. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { systemClock } from '../../platform/clock.ts'
import { emptyRecord } from '../testing/fold-log.ts'
import { HOUR_MS } from './hour-tally.ts'
import { type HourlyWorld, hourlyWorld } from './testing/hourly-world.ts'

/** A day that is over, before its last hour: the next hours are of another day. */
const START_MS = Math.floor(systemClock.nowMs() / 86_400_000) * 86_400_000 - 2 * HOUR_MS
/** After an hour's end, when it may be audited. */
const LATER_MS = 120_000

let world: HourlyWorld

before(async () => {
  world = await hourlyWorld(START_MS)
  await world.startPipeline()
})
after(() => world.close())

async function sendSome(tenant: string, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    const record = { ...emptyRecord(`d${n % 3}`, world.nowMs), tenant }
    record.numbers.push({ metric: 'm', t0: world.nowMs - n * 1000, dt: [0], v: [n] })
    await world.send(record)
  }
}

type HourRow = Readonly<{
  tenant: string
  at: number
  stored: number
  wrong: number
  findings: readonly string[]
  whole: number
}>

const hours = (): Promise<HourRow[]> =>
  world.clickhouse.select<HourRow>(
    `SELECT tenant, toFloat64(toUnixTimestamp(hour)) * 1000 - ${START_MS} AS at,
       toFloat64(stored) AS stored, toFloat64(windows_wrong) AS wrong, findings, whole
     FROM audit_hours FINAL ORDER BY at, tenant`,
  )

async function metric(name: string): Promise<number> {
  const { body } = await world.metrics.expose()
  const line = body.split('\n').find((text) => text.startsWith(`${name}{`))
  return Number(line?.split(' ').at(-1))
}

test('an hour is audited when it is over, once, tenant by tenant', async () => {
  const auditor = world.auditor(2)
  await world.passTo(START_MS + 600_000)
  await sendSome('acme', 9)
  await sendSome('other', 4)
  // Not over yet; and in the hours before there was nothing.
  assert.equal(await auditor.step(), false)
  assert.deepEqual(await hours(), [])

  await world.passTo(START_MS + HOUR_MS + LATER_MS)
  assert.equal(await auditor.step(), false)
  assert.deepEqual(
    (await hours()).map(({ tenant, at, stored, findings }) => [
      tenant,
      at,
      stored,
      findings.length,
    ]),
    [
      ['', 0, 13, 0],
      ['acme', 0, 9, 0],
      ['other', 0, 4, 0],
    ],
  )
  assert.equal(await auditor.step(), false)
  assert.equal(await metric('weir_audit_hours_total'), 1)
  assert.ok((await metric('weir_audit_windows_total')) > 0)
  assert.equal(await metric('weir_rollup_audit_mismatch_total'), 0)
})

test('an hour that the pipeline has not counted is waited for', async () => {
  await world.stopPipeline()
  await sendSome('acme', 5)
  world.nowMs = START_MS + 2 * HOUR_MS + LATER_MS
  const auditor = world.auditor(2)
  assert.equal(await auditor.step(), false)
  assert.equal((await hours()).filter(({ at }) => at === HOUR_MS).length, 0)
  assert.ok((await metric('weir_audit_lag_seconds')) >= 3_600)

  await world.startPipeline()
  await world.passTo(world.nowMs)
  await auditor.step()
  const rows = (await hours()).filter(({ at }) => at === HOUR_MS)
  assert.deepEqual(rows.map(({ tenant, stored }) => [tenant, stored]), [['', 5], ['acme', 5]]) // prettier-ignore
})

test('a tampered hour, and a day that was merged wrongly, are found and counted', async () => {
  await world.passTo(START_MS + 2 * HOUR_MS + 600_000)
  await sendSome('acme', 3)
  await world.passTo(START_MS + 3 * HOUR_MS + LATER_MS)
  const wrong = 'SELECT * REPLACE (cnt + 1 AS cnt, ver + 1 AS ver)'
  const midnight = `toDateTime(${(START_MS + 2 * HOUR_MS) / 1000}, 'UTC')`
  for (const [table, where] of [
    ['rollup_1h', `w >= ${midnight}`],
    ['rollup_1d', `w < ${midnight}`],
  ]) {
    await world.clickhouse.command(
      `INSERT INTO ${table} ${wrong} FROM ${table} FINAL WHERE ${where}`,
    )
  }
  await world.auditor(2).step()
  const rows = (await hours()).filter(({ at, tenant }) => at === 2 * HOUR_MS && tenant === 'acme')
  // Three series: the hour of each, and the day that ended as this hour began.
  assert.deepEqual(rows.map(({ stored, wrong }) => [stored, wrong]), [[3, 6]]) // prettier-ignore
  assert.match(
    rows[0]?.findings.join('\n') ?? '',
    /window of 86400 s at \S+T00:00:00.000Z: count is 6, should be 5/,
  )
  assert.equal(await metric('weir_rollup_audit_mismatch_total'), 6)
})

test('missed hours are caught up with in one reading, and a log that lost some says so', async () => {
  for (const hour of [3, 4]) {
    await world.passTo(START_MS + hour * HOUR_MS + 600_000)
    await sendSome('acme', 6)
  }
  await world.passTo(START_MS + 5 * HOUR_MS + LATER_MS)
  await world.truncate(START_MS + 3 * HOUR_MS + 600_000)
  const auditor = world.auditor(6)
  await auditor.start()
  while ((await hours()).filter(({ at }) => at === 4 * HOUR_MS).length < 2) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  await auditor.drain(5_000)
  assert.equal(auditor.notReady(), undefined)
  const rows = (await hours()).filter(({ at, tenant }) => at >= 3 * HOUR_MS && tenant === '')
  assert.deepEqual(rows.map(({ whole, findings }) => [whole, findings.length]), [[0, 0], [1, 0]]) // prettier-ignore
  assert.equal(rows[1]?.stored, 6)
})
