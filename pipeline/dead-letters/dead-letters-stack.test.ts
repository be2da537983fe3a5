/** Dead letters on real servers: what stops a partition, what does not, and what a person can do. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../platform/clock.ts'
import { ensureSchemas } from '../../platform/kafka/schema-registry.ts'
import type { Metrics } from '../../platform/observe/metrics.ts'
import { type AvroSchema, createAvroDecoder, createAvroEncoder } from '../../schemas/avro-codec.ts'
import { DEAD_LETTER_HEADERS } from '../../schemas/dead-letter.ts'
import { type Telemetry, TELEMETRY_SCHEMA } from '../../schemas/telemetry.ts'
import { eventually } from '../../test/eventually.ts'
import { readTopic } from '../../test/read-topic.ts'
import { testStack } from '../../test/stack.ts'
import { emptyRecord } from '../testing/fold-log.ts'
import { type Deployment, deploy } from '../testing/stack-deployment.ts'
import { hidingRegistry } from './testing/hiding-registry.ts'
import { operator } from './testing/operator.ts'

const FAST = { flushIntervalMs: '100', tickIntervalMs: '200', liveIntervalMs: '1000' }
const KEY = Buffer.from('acme/d0')

function sample(value: number, tsMs = systemClock.nowMs(), device = 'd0'): Telemetry {
  const record = emptyRecord(device, systemClock.nowMs())
  record.numbers.push({ metric: 'm', t0: tsMs, dt: [0], v: [value] })
  return record
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
    await deployment.sendRaw(0, KEY, deployment.encoder.encode(sample(1)))
    await deployment.sendRaw(1, KEY, deployment.encoder.encode(sample(2, undefined, 'd1')))
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
    await deployment.sendRaw(0, KEY, encoder.encode(sample(1)))
    await paused(pipeline.metrics, '0 schema_unknown')
    await deployment.sendRaw(1, KEY, deployment.encoder.encode(sample(2, undefined, 'd1')))
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
    const shown = await operator(deployment, ['dlq', 'show', '--letter', '0:0'])
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

test('records whose rows the table refuses are dead-lettered, the others are stored and exact', async () => {
  const deployment = await deploy(1, FAST)
  let pipeline = await deployment.start()
  try {
    await deployment.clickhouse.command('ALTER TABLE samples ADD CONSTRAINT odd CHECK value != 666')
    await deployment.send(sample(1))
    await Promise.race([deployment.settled(), pipeline.failure])
    const nowMs = systemClock.nowMs()
    const values = Array.from({ length: 60 }, (_, n) => (n === 17 || n === 41 ? 666 : n))
    await Promise.all(values.map((value, n) => deployment.send(sample(value, nowMs - n))))
    await assert.rejects(pipeline.failure, /dead-lettered after the start/)
    await pipeline.stop()
    for (;;) {
      pipeline = await deployment.start()
      // They may have come in two flushes: then the second is found after the first.
      const ended = pipeline.failure.then(() => true, () => true) // prettier-ignore
      if ((await Promise.race([deployment.settled(), ended])) !== true) break
      await pipeline.stop()
    }
    const letters = await deployment.deadLetters()
    assert.deepEqual(reasons(letters), ['sink_refused', 'sink_refused'])
    const refused = new Set(letters.map(({ headers }) => Number(headers[DEAD_LETTER_HEADERS.offset]?.toString()))) // prettier-ignore
    const log = await deployment.logged()
    const kept = log.map((each) =>
      refused.has(each.offset) ? { ...each, record: undefined } : each,
    )
    assert.deepEqual(await deployment.differences(kept), [])
    assert.equal(await count(deployment, 'samples'), 59)
  } finally {
    await pipeline.stop()
    await deployment.close()
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
