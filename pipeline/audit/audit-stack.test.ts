/** The audit on real servers: silent about a sound system, and loud, by name, about each harm. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { systemClock } from '../../platform/clock.ts'
import type { Telemetry } from '../../schemas/telemetry.ts'
import { DEAD_LETTERS } from '../../schemas/topics.ts'
import { describedIn } from '../operator/testing/operator.ts'
import { emptyRecord } from '../testing/fold-log.ts'
import { readSeriesSalt } from '../sinks/series-salt.ts'
import { type Deployment, deploy } from '../testing/stack-deployment.ts'
import { seriesIdAsBigint, seriesIdOf } from '../window/series-id.ts'
import type { AuditResult } from './audit-run.ts'
import { totalOf } from './audit-report.ts'
import { auditOf } from './testing/audited-deployment.ts'

const FAST = { flushIntervalMs: '100', tickIntervalMs: '200', liveIntervalMs: '50' }
const DAY_MS = 86_400_000

const startedMs = systemClock.nowMs()
/** A minute that is closed long before the test ends, and a day that ended with all its hours. */
const RECENT_MS = Math.floor(startedMs / 60_000) * 60_000 - 120_000
const PAST_DAY_MS = Math.floor(startedMs / DAY_MS) * DAY_MS - 2 * DAY_MS

let deployment: Deployment
let pipeline: Awaited<ReturnType<Deployment['start']>>
let salt = ''

before(async () => {
  deployment = await deploy(3, FAST)
  pipeline = await deployment.start()
  salt = await readSeriesSalt(deployment.clickhouse)
  for (let n = 0; n < 120; n += 1) {
    const record = recordAt(`d${n % 6}`, RECENT_MS + n * 100)
    await deployment.send(record)
    if (n % 10 === 0) await deployment.send(record)
  }
  for (let n = 0; n < 6; n += 1) {
    await deployment.send(recordAt('past', PAST_DAY_MS + n * 3_000_000))
    await deployment.send({ ...recordAt('d0', RECENT_MS), tenant: 'other' })
  }
  await deployment.send(recordAt('ledger-1', RECENT_MS + 12_000))
  await deployment.send(recordAt('d1', systemClock.nowMs() + DAY_MS))
  await deployment.sendRaw(0, Buffer.from('acme/d1'), Buffer.from('no frame'))
  await settled()
})

after(async () => {
  rmSync(folder, { recursive: true, force: true })
  await pipeline.stop()
  await deployment.close()
})

const settled = () => Promise.race([deployment.settled(), pipeline.failure])

/** A number twice at one time, a boolean, a text. */
function recordAt(device: string, t0: number): Telemetry {
  const record = emptyRecord(device, systemClock.nowMs())
  record.numbers.push({ metric: 'temperature', t0, dt: [0, 7, 7], v: [t0 % 97, t0 / 7, 1] })
  record.booleans.push({ metric: 'on', t0, dt: [0], v: [t0 % 200 === 0] })
  record.strings.push({ metric: 'state', t0, dt: [0], v: [`s${t0 % 9}`] })
  return record
}

const audit = () => auditOf(deployment, { fromMs: startedMs })

test('a sound system has no findings, and its books balance in every tenant', async () => {
  const result = await audit()
  assert.deepEqual(result.findings, [])
  const ofTenant = (tenant: string) =>
    totalOf(result.tallies.filter((tally) => tally.tenant === tenant))
  const acme = ofTenant('acme')
  assert.equal(acme.records, 120 + 12 + 6 + 1 + 1 + 1)
  assert.equal(acme.produced, (acme.records - 1) * 5)
  assert.equal(acme.stored, (120 + 6 + 1) * 4)
  assert.equal(acme.refused, 5)
  assert.equal(acme.duplicates, acme.produced - acme.stored - acme.refused)
  assert.deepEqual(Object.fromEntries(acme.deadLetters), { clock_skew: 1, frame_invalid: 1 })
  assert.ok(acme.windowsChecked > 100)
  assert.ok(acme.corrected > 0)
  const other = ofTenant('other')
  assert.deepEqual([other.records, other.stored, other.missing], [6, 4, 0])
})

test('one tenant is audited without the others, in slices of any size', async () => {
  const whole = await auditOf(deployment, { fromMs: startedMs, tenant: 'other' })
  const sliced = await auditOf(deployment, {
    ...{ fromMs: startedMs, tenant: 'other', sliceSamples: 1 },
  })
  assert.deepEqual(whole.findings, [])
  assert.ok(whole.tallies.every(({ tenant }) => tenant === 'other'))
  assert.deepEqual(sliced.tallies, whole.tallies)
})

test('records beyond what is committed are left out, and said to be', async () => {
  await pipeline.stop()
  const record = recordAt('d0', RECENT_MS + 90_000)
  await deployment.send(record)
  const result = await audit()
  assert.deepEqual(result.findings, [])
  assert.ok(result.cut.openRecords > 0)
  pipeline = await deployment.start()
  await settled()
  assert.deepEqual((await audit()).findings, [])
})

test('weir audit finds the system by its file, prints a table, and exits 0 when all is well', async () => {
  const { status, stdout, stderr } = await weirAudit('--share', '100', '--json')
  assert.equal(status, 0, stderr + stdout)
  const lines = stdout.trimEnd().split('\n')
  const answer = JSON.parse(lines.at(-1) ?? '') as { ok: boolean; hours: { stored: number }[] }
  assert.equal(answer.ok, true)
  assert.ok(answer.hours.reduce((sum, { stored }) => sum + stored, 0) > 500)
  assert.match(lines[2] ?? '', /^hour \(UTC\) +tenant +records +samples +stored +duplicates/)
  assert.match(stdout, /^\d{4}-\d\d-\d\d \d\d:00 {2}acme .* 512 /m)
  assert.match(stdout, /Dead letters: .*1 clock_skew/)
  assert.match(stdout, /No findings: 516 samples are stored once each/)
})

test('what a client saw acknowledged is looked for, and what is stored must have been sent', async () => {
  const t0 = RECENT_MS + 12_000
  const sound = [
    '{"ledger":1,"prefix":"ledger-","seed":"1","startedAtMs":0}',
    `["s",1,"ledger-1",[[${t0},{"temperature":${t0 % 97},"on":${t0 % 200 === 0},"state":"s${t0 % 9}"}]]]`,
    `["s",2,"ledger-1",[[${t0 + 7},{"temperature":${t0 / 7}}]]]`,
    '["a",1]',
    '["a",2]',
  ]
  const file = join(folder, 'ledger.jsonl')
  writeFileSync(file, `${sound.join('\n')}\n["s",3,"ledger-`)
  const holds = await weirAudit('--ledger', file)
  assert.equal(holds.status, 0, holds.stderr + holds.stdout)
  assert.match(holds.stdout, /2 messages with 4 samples were acknowledged; 0 missing, 0 never sent/)

  const lost = ['["s",4,"ledger-1",[[77,{"temperature":1}]]]', '["a",4]']
  writeFileSync(
    file,
    `${[...sound.filter((line) => !line.includes('s",2')), ...lost].join('\n')}\n`,
  )
  const fails = await weirAudit('--ledger', file, '--json')
  assert.equal(fails.status, 1)
  assert.match(
    fails.stdout,
    /ledger-1 temperature \(number\) at 1970-01-01T00:00:00.077Z was acknowledged and is not stored/,
  )
  assert.match(
    fails.stdout,
    /ledger-1 temperature \(number\) at \S+ is stored as .*, and was not sent/,
  )
  assert.match(fails.stdout, /"missing":1,"unknown":1/)
})

test('bad arguments are told in a sentence', async () => {
  for (const [args, text, code] of [
    [['--from', 'yesterday'], /--from must be a time like/, 2],
    [['--from', '1h', '--to', '2h'], /--from must be before --to/, 2],
    [['--ledger', join(folder, 'none')], /cannot read the ledger/, 2],
    [['--share', '101'], /--share .* must be a whole number from 0 to 100/, 2],
  ] as const) {
    const { status, stderr } = await weirAudit(...args)
    assert.match(stderr, text)
    assert.equal(status, code)
  }
  const elsewhere = await run([WEIR, 'audit', '--stack', join(folder, 'no.json')])
  assert.match(elsewhere.stderr, /there is no .*no\.json \(--stack\)/)
  assert.equal(elsewhere.status, 1)
})

const folder = mkdtempSync(join(tmpdir(), 'weir-audit-'))
const WEIR = join(import.meta.dirname, '..', '..', 'cli', 'weir.js')

function weirAudit(...args: readonly string[]): Promise<Ended> {
  const stack = describedIn(deployment)
  const from = args.includes('--from') ? [] : ['--from', String(startedMs)]
  return run([WEIR, 'audit', '--stack', stack, ...from, ...args])
}

type Ended = Readonly<{ status: number | string; stdout: string; stderr: string }>

/** The pipeline lives in this process: it must not stand still meanwhile. */
const run = (argv: readonly string[]): Promise<Ended> =>
  new Promise((resolve) => {
    const env = { PATH: process.env['PATH'] }
    execFile(process.execPath, argv, { env }, (error, stdout, stderr) =>
      resolve({ status: error === null ? 0 : (error.code ?? 'killed'), stdout, stderr }),
    )
  })

const id = (device: string, metric = 'temperature', kind: 'number' | 'text' = 'number'): string =>
  seriesIdAsBigint(seriesIdOf({ device, metric, kind }, salt)).toString()

const command = (text: string): Promise<void> =>
  deployment.clickhouse.command(text, {}, { settings: { mutations_sync: '2' } })

/** Copies a row with some columns replaced. */
const copy = (table: string, replace: string, where: string): Promise<void> =>
  command(`INSERT INTO ${table} SELECT * REPLACE (${replace}) FROM ${table} FINAL WHERE ${where}`)

const firstOf = (device: string): string =>
  `tenant = 'acme' AND series = ${id(device)} ORDER BY ts LIMIT 1`
const rollupOf = (device: string): string => `tenant = 'acme' AND series = ${id(device)}`

/** A minute without samples beside the one that has them, in the same hour: that is what is audited. */
const EMPTY_MINUTE = RECENT_MS % 3_600_000 === 0 ? 1 : -1

type Harm = Readonly<{
  name: string
  /** Each on a device of its own, so that findings can be told apart. */
  device: string
  apply: () => Promise<void>
  /** Kinds of all findings about the device, sorted. */
  found: readonly string[]
}>

const HARMS: readonly Harm[] = [
  {
    name: 'a raw row is deleted',
    device: 'd0',
    apply: () =>
      command(`ALTER TABLE samples DELETE WHERE tenant = 'acme' AND series = ${id('d0')}
        AND ts = fromUnixTimestamp64Milli(${RECENT_MS}, 'UTC')`),
    found: ['sample_missing', 'window_wrong', 'window_wrong'],
  },
  {
    name: 'raw rows are added, beside the others and years away',
    device: 'd1',
    apply: async () => {
      await copy('samples', 'ts + INTERVAL 1 MILLISECOND AS ts', firstOf('d1'))
      await copy('samples', 'ts - INTERVAL 300 DAY AS ts', firstOf('d1'))
    },
    found: ['sample_invented', 'sample_invented', 'window_wrong', 'window_wrong'],
  },
  {
    name: "a raw row's value is changed",
    device: 'd2',
    apply: () => copy('samples', 'value + 1 AS value, inv + 1 AS inv', firstOf('d2')),
    found: ['sample_altered', 'window_wrong', 'window_wrong'],
  },
  {
    name: "a rollup row's count is changed",
    device: 'd3',
    apply: () => copy('rollup_10s', 'cnt + 1 AS cnt, ver + 1 AS ver', `${rollupOf('d3')} LIMIT 1`),
    found: ['window_wrong'],
  },
  {
    name: 'a rollup row is gone, and one is there without samples',
    device: 'd4',
    apply: async () => {
      await copy(
        'rollup_1m',
        `w + INTERVAL ${EMPTY_MINUTE} MINUTE AS w`,
        `${rollupOf('d4')} LIMIT 1`,
      )
      await command(`ALTER TABLE rollup_10s DELETE WHERE ${rollupOf('d4')}
        AND w = toDateTime(${RECENT_MS / 1000}, 'UTC')`)
    },
    found: ['window_absent', 'window_invented'],
  },
  {
    name: "an hour's sum and a day's count are changed",
    device: 'past',
    apply: async () => {
      const hour = `${rollupOf('past')} ORDER BY w LIMIT 1`
      await copy('rollup_1h', 'sum + 1 AS sum, ver + 1 AS ver', hour)
      await copy('rollup_1d', 'cnt + 1 AS cnt, ver + 1 AS ver', rollupOf('past'))
    },
    found: ['window_wrong', 'window_wrong'],
  },
  {
    name: 'a device skips a number',
    device: 'counting',
    apply: async () => {
      for (const seq of [1, 2, 4, 5]) {
        await deployment.send({ ...emptyRecord('counting', systemClock.nowMs()), seq })
      }
      await settled()
    },
    found: ['number_missing'],
  },
]

test('each harm is found, and named', async (t) => {
  for (const { apply } of HARMS) await apply()
  const result = await audit()
  for (const { name, device, found } of HARMS) {
    await t.test(name, () => assert.deepEqual(kindsOf(result, device), found))
  }
  const all = HARMS.flatMap(({ found }) => found)
  assert.equal(result.findingCount, all.length)
  const total = totalOf(result.tallies)
  assert.deepEqual([total.missing, total.invented, total.altered], [1, 2, 1])
  assert.equal(total.windowsWrong, all.filter((kind) => kind.startsWith('window')).length)
  assert.deepEqual([total.numbersPresent, total.numbersMissing], [4, 1])
})

function kindsOf({ findings }: AuditResult, device: string): readonly string[] {
  return findings
    .filter(({ text }) => new RegExp(`\\b${device}\\b`).test(text))
    .map(({ kind }) => kind)
    .sort()
}

test('a refused record whose dead letter is gone is found', async () => {
  const admin = deployment.log.admin()
  try {
    const topic = deployment.prefix + DEAD_LETTERS.name
    const range = await admin.offsetRange(topic)
    const ends = new Map([...range].map(([partition, { end }]) => [partition, end]))
    await admin.deleteRecords(topic, ends)
  } finally {
    await admin.close()
  }
  const { findings } = await audit()
  const letters = findings.filter(({ kind }) => kind === 'letter_missing')
  assert.equal(letters.length, 2)
})
