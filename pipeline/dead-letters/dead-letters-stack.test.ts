/** Dead letters on real servers: what stops a partition, what does not, and what a person can do. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../platform/clock.ts'
import { ensureSchemas } from '../../platform/kafka/schema-registry.ts'
import type { Metrics } from '../../platform/observe/metrics.ts'
import { type AvroSchema, createAvroDecoder, createAvroEncoder } from '../../schemas/avro-codec.ts'
import { DEAD_LETTER_HEADERS } from '../../schemas/dead-letter.ts'
import { type Telemetry, TELEMETRY_SCHEMA } from '../../schemas/telemetry.ts'
import { deviceKey, partitionOf } from '../../schemas/topics.ts'
import { eventually } from '../../test/eventually.ts'
import { readTopic } from '../../test/read-topic.ts'
import { testStack } from '../../test/stack.ts'
import { emptyRecord } from '../testing/fold-log.ts'
import { type Deployment, deploy } from '../testing/stack-deployment.ts'
import { hidingRegistry } from './testing/hiding-registry.ts'
import { operator } from '../operator/testing/operator.ts'

const FAST = { flushIntervalMs: '100', tickIntervalMs: '200', liveIntervalMs: '1000' }
const KEY = Buffer.from('acme/d0')

function sample(value: number, tsMs = systemClock.nowMs(), device = 'd0'): Telemetry {
  const record = emptyRecord(device, systemClock.nowMs())
  record.numbers.push({ metric: 'm', t0: tsMs, dt: [0], v: [value] })
  return record
}

/** A device whose records lie in this one of two partitions. */
function deviceIn(partition: number): string {
  for (let n = 0; ; n += 1) {
    if (partitionOf(Buffer.from(deviceKey('acme', `d${n}`)), 2) === partition) return `d${n}`
  }
}

async function pausedPartitions(metrics: Metrics): Promise<string[]> {
  const { body } = await metrics.expose()
  const lines = body.split('\n').filter((line) => /^weir_pipeline_partition_paused.* 1$/.test(line))
  return lines.map((line) => {
    const [, partition, reason] = /partition="(\d+)",reason="(\w+)"/.exec(line) ?? []
    return `${partition} ${reason}`
  })
}

const paused = (metrics: Metrics, what: string): Promise<true> =>
  eventually(`paused: ${what}`, async () =>
    (await pausedPartitions(metrics)).includes(what) ? true : undefined,
  )

const reasons = (letters: Awaited<ReturnType<Deployment['deadLetters']>>) =>
  letters.map(({ headers }) => headers[DEAD_LETTER_HEADERS.reason]?.toString())

const count = async ({ clickhouse }: Deployment, table: string): Promise<number> =>
  (await clickhouse.select<{ n: number }>(`SELECT toUInt32(count()) AS n FROM ${table} FINAL`))[0]
    ?.n ?? 0

test('a flood of rubbish pauses its partition alone, until a person lets it through', async () => {
  const deployment = await deploy(2, FAST)
  const pipeline = await deployment.start()
  try {
    const rubbish = Array.from({ length: 3_000 }, (_, n) => Buffer.from(`rubbish ${n}`))
    await Promise.all(rubbish.map((value) => deployment.sendRaw(0, KEY, value)))
    await paused(pipeline.metrics, '0 invalid_records')
    const ofTheFirst = sample(1, undefined, deviceIn(0))
    await deployment.sendRaw(0, KEY, deployment.encoder.encode(ofTheFirst))
    await deployment.sendRaw(1, KEY, deployment.encoder.encode(sample(2, undefined, deviceIn(1))))
    await eventually('the other partition', async () =>
      (await count(deployment, 'samples')) === 1 ? true : undefined,
    )
    const first = await eventually('letters', async () => {
      const letters = await deployment.deadLetters()
      return letters.length >= 999 ? letters : undefined
    })
    assert.equal(first.length, 999)
    const resumed = await operator(deployment, ['dlq', 'resume', '--partition', '0'])
    assert.equal(resumed.status, 0, resumed.text)
    await Promise.race([deployment.settled(), pipeline.failure])
    assert.equal((await deployment.deadLetters()).length, 3_000)
    assert.deepEqual(await pausedPartitions(pipeline.metrics), [])
    assert.deepEqual(await deployment.differences(), [])
    const again = await operator(deployment, ['dlq', 'resume', '--partition', '0'])
    assert.match(again.text, /Partition 0 is not paused/)
    assert.deepEqual([again.status, again.json], [0, { partition: 0, paused: false }])
  } finally {
    await pipeline.stop()
    await deployment.close()
  }
})

/** A record of an older release of the schema, whose id the registry knows and the proxy hides. */
async function olderSchema() {
  const { registry, namespace } = await testStack()
  const schema = { ...TELEMETRY_SCHEMA, fields: TELEMETRY_SCHEMA.fields.slice(0, -2) }
  const subject = `${namespace}older-value`
  const ids = await ensureSchemas(registry.url, [{ subject, schema }])
  const id = ids[subject] ?? 0
  const proxy = await hidingRegistry(registry.url, () => id)
  return { proxy, id, schema, encoder: createAvroEncoder<Telemetry>(schema, id) }
}

test('a partition waits for a schema, and for a registry that is down; the others go on', async () => {
  const { proxy, encoder } = await olderSchema()
  const deployment = await deploy(2, { ...FAST, registryUrl: proxy.url })
  const pipeline = await deployment.start()
  try {
    const ofTheFirst = sample(1, undefined, deviceIn(0))
    await deployment.sendRaw(0, KEY, encoder.encode(ofTheFirst))
    await paused(pipeline.metrics, '0 schema_unknown')
    await deployment.sendRaw(1, KEY, deployment.encoder.encode(sample(2, undefined, deviceIn(1))))
    await eventually('the other partition', async () =>
      (await count(deployment, 'samples')) === 1 ? true : undefined,
    )
    proxy.state.mode = 'down'
    const asked = proxy.state.questions
    await eventually('questions', () => (proxy.state.questions > asked + 1 ? true : undefined))
    assert.deepEqual(await deployment.deadLetters(), [])
    proxy.state.mode = 'open'
    await Promise.race([deployment.settled(), pipeline.failure])
    assert.deepEqual(await deployment.deadLetters(), [])
    assert.equal(await count(deployment, 'samples'), 2)
    assert.deepEqual(await pausedPartitions(pipeline.metrics), [])
  } finally {
    await pipeline.stop()
    await deployment.close()
    await proxy.close()
  }
})

test('a letter that becomes readable enters no window on a replay, and is counted once when two people replay it', async () => {
  const { proxy, encoder, id, schema } = await olderSchema()
  const deployment = await deploy(1, { ...FAST, registryUrl: proxy.url, schemaPatienceMs: '0' })
  let pipeline = await deployment.start()
  const decoder = createAvroDecoder<Telemetry>({
    schema: TELEMETRY_SCHEMA,
    writers: new Map<number, AvroSchema>([[deployment.encoder.schemaId, TELEMETRY_SCHEMA], [id, schema]]), // prettier-ignore
    fetchSchema: async () => undefined,
  })
  /** The log, without what was dead-lettered when it was read. */
  async function logWithout(refused: ReadonlySet<number>) {
    const records = await readTopic(deployment.log, deployment.topic)
    return records.map(({ offset, timestampMs: appendMs, value }) => {
      const decoded = decoder.decode(value ?? Buffer.alloc(0))
      const isKnown = decoded.kind === 'value' && !refused.has(offset)
      return { offset, appendMs, record: isKnown ? decoded.value : undefined }
    })
  }
  try {
    const nowMs = systemClock.nowMs()
    await deployment.sendRaw(0, KEY, deployment.encoder.encode(sample(1, nowMs)))
    for (let n = 1; n <= 20; n += 1)
      await deployment.sendRaw(0, KEY, encoder.encode(sample(100 + n, nowMs + n)))
    await Promise.race([deployment.settled(), pipeline.failure])
    const letters = await deployment.deadLetters()
    assert.deepEqual(reasons(letters), Array(20).fill('schema_unknown'))
    const offsetOf = ({ headers }: (typeof letters)[number]) =>
      Number(headers[DEAD_LETTER_HEADERS.offset]?.toString())
    const refused = new Set(letters.map(offsetOf))
    await pipeline.stop()

    proxy.state.mode = 'open'
    pipeline = await deployment.start()
    await deployment.sendRaw(0, KEY, deployment.encoder.encode(sample(2, nowMs + 900)))
    await Promise.race([deployment.settled(), pipeline.failure])
    assert.deepEqual(await deployment.differences(await logWithout(refused)), [])

    const dry = await operator(deployment, ['dlq', 'replay', '--dry-run'])
    assert.deepEqual([dry.status, dry.json['replayed']], [0, 20], dry.text)
    const one = await operator(deployment, ['dlq', 'replay', '--dry-run', '--letter', '0:3'])
    assert.deepEqual([one.json['chosen'], one.json['replayed']], [1, 1], one.text)
    const words = ['dlq', 'replay', '--reason', 'schema_unknown']
    const both = await Promise.all([operator(deployment, words), operator(deployment, words)])
    for (const { status, text } of both) assert.equal(status, 0, text)
    const replayed = both.reduce((sum, { json }) => sum + Number(json['replayed']), 0)
    assert.ok(replayed >= 20, `${replayed} replayed`)
    await Promise.race([deployment.settled(), pipeline.failure])
    assert.equal(await count(deployment, 'samples'), 22)
    assert.deepEqual(await deployment.differences(await logWithout(refused)), [])

    const listed = await operator(deployment, ['dlq', 'ls'])
    const [group] = listed.json['groups'] as Record<string, unknown>[]
    assert.deepEqual([group?.['letters'], group?.['replayed']], [20, 20], listed.text)
    const newest = String(group?.['newest'])
    assert.match(listed.text, new RegExp(`^schema_unknown .* ${newest}$`, 'm'))
    const shown = await operator(deployment, ['dlq', 'show', '--letter', newest])
    assert.equal(shown.json['letter'], newest)
    assert.match(shown.text, /"device":"d0"/)
    assert.equal((await operator(deployment, ['dlq', 'purge', '--until', '0s'])).status, 2)
    const purged = await operator(deployment, ['dlq', 'purge', '--until', '0s', '--yes'])
    assert.ok(Number(purged.json['records']) >= 20, purged.text)
    assert.deepEqual(await deployment.deadLetters(), [])
  } finally {
    await pipeline.stop()
    await deployment.close()
    await proxy.close()
  }
})

test('records that the table refuses every second cost no restart of the process, and the others are exact', async () => {
  const deployment = await deploy(1, FAST)
  const pipeline = await deployment.start()
  try {
    await deployment.clickhouse.command('ALTER TABLE samples ADD CONSTRAINT odd CHECK value != 666')
    await deployment.send(sample(1))
    await Promise.race([deployment.settled(), pipeline.failure])
    const nowMs = systemClock.nowMs()
    for (let round = 0; round < 3; round += 1) {
      const values = Array.from({ length: 20 }, (_, n) => (n === 7 || n === 11 ? 666 : n))
      await Promise.all(values.map((value, n) => deployment.send(sample(value, nowMs - 20 * round - n)))) // prettier-ignore
      await Promise.race([deployment.settled(), pipeline.failure])
    }
    const letters = await deployment.deadLetters()
    assert.deepEqual(reasons(letters), Array(6).fill('sink_refused'))
    const refused = new Set(letters.map(({ headers }) => Number(headers[DEAD_LETTER_HEADERS.offset]?.toString()))) // prettier-ignore
    const log = await deployment.logged()
    const kept = log.map((each) =>
      refused.has(each.offset) ? { ...each, record: undefined } : each,
    )
    assert.deepEqual(await deployment.differences(kept), [])
    assert.equal(await count(deployment, 'samples'), 55)
  } finally {
    await pipeline.stop()
    await deployment.close()
  }
})

test('nothing that a device can say is refused by the tables for good', async () => {
  const deployment = await deploy(1, FAST)
  const pipeline = await deployment.start()
  try {
    const nowMs = systemClock.nowMs()
    const send = (change: (record: Telemetry) => void, device = 'd0') => {
      const record = emptyRecord(device, systemClock.nowMs())
      change(record)
      return deployment.send(record)
    }
    const number = (metric: string, v: number[], t0 = nowMs, dt = v.map((_, n) => -n)) =>
      send(({ numbers }) => numbers.push({ metric, t0, dt, v }))
    await number('odd', [-0, 5e-324, -5e-324, 2 ** -1022, 1e308, -1e308, Number.MAX_VALUE, 2 ** 63])
    await number('sum beyond the largest', [1e308, 1e308, 1.7e308, -1.7e308])
    for (const t0 of [
      0,
      -1,
      1,
      Date.UTC(2100, 0),
      Date.UTC(2299, 11, 31),
      Date.UTC(2300, 0),
      2 ** 52,
      -(2 ** 52),
    ]) {
      await number('time', [1], t0, [0])
    }
    const days = Array.from({ length: 5 }, (_, n) => n)
    await number('days', days, nowMs, days.map((n) => -n * 86_400_000)) // prettier-ignore
    for (const metric of [
      '',
      '\u0000',
      'x'.repeat(10_000),
      '\ud800 alone',
      "'; DROP TABLE `samples` --",
      '\u{1f321}',
    ]) {
      await number(metric, [1])
      await send(({ strings, booleans }) => {
        strings.push({ metric: 's', t0: nowMs, dt: [metric.length % 7], v: [metric] })
        booleans.push({ metric, t0: nowMs, dt: [0], v: [true] })
      })
    }
    await send(({ strings }) => strings.push({ metric: 'huge', t0: nowMs, dt: [0], v: ['\u0000'.repeat(1_500_000)] })) // prettier-ignore
    await send(({ numbers }) => numbers.push({ metric: 'm', t0: nowMs, dt: [0], v: [1] }), '')
    // Invalid UTF-8, in a text and in a name.
    for (const place of ['strings', 'metric']) {
      const record = emptyRecord('d0', systemClock.nowMs())
      const text = { metric: place === 'metric' ? '#### ' : 'bytes', t0: nowMs, dt: [0], v: ['#### '] } // prettier-ignore
      record.strings.push(text)
      const value = Buffer.from(deployment.encoder.encode(record))
      for (let at = value.indexOf('####'); at >= 0; at = value.indexOf('####')) {
        value.set([0xff, 0xc0, 0xed, 0xa0], at)
      }
      await deployment.sendRaw(0, KEY, value)
    }
    await Promise.race([deployment.settled(), pipeline.failure])
    const letters = reasons(await deployment.deadLetters())
    assert.ok(!letters.includes('sink_refused'), letters.join(' '))
    assert.ok(letters.length >= 6, 'times out of reach are dead letters of the fold')
    const { body } = await pipeline.metrics.expose()
    assert.doesNotMatch(body, /^weir_pipeline_partition_paused.* 1$/m)
    assert.equal((await count(deployment, 'samples')) > 25, true)
  } finally {
    await pipeline.stop()
    await deployment.close()
  }
})

test('a replay right after the schema is registered is counted at once', async () => {
  const { proxy, encoder } = await olderSchema()
  const deployment = await deploy(1, { ...FAST, registryUrl: proxy.url, schemaPatienceMs: '0' })
  const pipeline = await deployment.start()
  try {
    const nowMs = systemClock.nowMs()
    for (let n = 0; n < 30; n += 1)
      await deployment.sendRaw(0, KEY, encoder.encode(sample(n, nowMs - n)))
    await Promise.race([deployment.settled(), pipeline.failure])
    assert.equal((await deployment.deadLetters()).length, 30)
    const words = ['dlq', 'replay', '--reason', 'schema_unknown']
    const early = await operator(deployment, words)
    assert.match(early.text, /0 of 30 letters were replayed/)
    assert.match(early.text, /30 carry a schema id that the registry still does not know/)
    proxy.state.mode = 'open'
    const replayed = await operator(deployment, words)
    assert.equal(replayed.json['replayed'], 30, replayed.text)
    await Promise.race([deployment.settled(), pipeline.failure])
    assert.equal(await count(deployment, 'samples'), 30)
    const letters = await deployment.deadLetters()
    assert.equal(letters.filter(({ headers }) => 'dlq.reason' in headers).length, 30)
  } finally {
    await pipeline.stop()
    await deployment.close()
    await proxy.close()
  }
})

test('the largest records end as whole letters; larger ones never enter the log', async () => {
  const deployment = await deploy(1, FAST)
  const pipeline = await deployment.start()
  try {
    await assert.rejects(deployment.sendRaw(0, KEY, Buffer.alloc(20 * 1024 * 1024)), {
      code: 'payload_too_large',
    })
    const rubbish = Buffer.alloc(2 * 1024 * 1024 - 200, 1)
    const nowMs = systemClock.nowMs()
    const bad = emptyRecord('d0', nowMs)
    const v = Array.from({ length: 150_000 }, () => NaN)
    bad.numbers.push({ metric: 'm', t0: nowMs, dt: v.map((_, n) => -n), v })
    await deployment.sendRaw(0, KEY, rubbish)
    await deployment.send(bad)
    await deployment.send(sample(1))
    await Promise.race([deployment.settled(), pipeline.failure])
    const letters = await deployment.deadLetters()
    assert.deepEqual(reasons(letters), ['frame_invalid', 'value_not_finite'])
    assert.ok(letters[0]?.value?.equals(rubbish))
    assert.ok(letters[1]?.value?.equals(deployment.encoder.encode(bad)))
    assert.equal(await count(deployment, 'samples'), 1)
  } finally {
    await pipeline.stop()
    await deployment.close()
  }
})
