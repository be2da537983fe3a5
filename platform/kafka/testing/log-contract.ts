/**
 * The laws of log.ts as tests, for every implementation alike. `open` gives one log and a way to
 * end it; topics and groups are made here, under the given namespace.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Failure } from '../../failure.ts'
import { Bench, DRAIN_MS, type OpenedLog, Recorder } from './log-contract-bench.ts'

const text = (value: string) => ({ key: Buffer.from('k'), value: Buffer.from(value) })
const failsWith = (code: string) => (error: unknown) =>
  error instanceof Failure && error.code === code

export function logContract(name: string, open: () => Promise<OpenedLog>): void {
  describe(`${name} keeps the laws of a log`, () => {
    let opened: OpenedLog
    let bench: Bench
    before(async () => {
      opened = await open()
      bench = new Bench(opened)
    })
    after(async () => {
      await bench.drain()
      await bench.admin.close()
      await opened.close()
    })
    const law: Law = (title, run) => {
      void test(title, async () => {
        try {
          await run(bench)
        } finally {
          await bench.drain()
        }
      })
    }
    orderLaws(law)
    refusalLaws(law)
    readingLaws(law)
    pauseLaws(law)
    commitLaws(law)
    adminLaws(law)
  })
}

type Law = (title: string, run: (bench: Bench) => Promise<void>) => void

function orderLaws(law: Law): void {
  law('records keep their order, bytes, nulls and headers', async (bench) => {
    const topic = await bench.topic(2)
    const writer = await bench.writer()
    const headers = { one: Buffer.from('1'), empty: Buffer.alloc(0) }
    const sent = [
      writer.append(topic, 1, { key: Buffer.from('a'), value: Buffer.from('x'), headers }),
      writer.append(topic, 1, { key: null, value: Buffer.from('y') }),
      writer.append(topic, 1, { key: Buffer.from('b'), value: null }),
      writer.append(topic, 1, { key: Buffer.alloc(0), value: Buffer.alloc(0) }),
    ]
    await Promise.all(sent)
    const { handler } = await bench.reader([topic], undefined)
    await handler.count(4)
    assert.deepEqual(
      handler.seen.map(({ partition, offset, key, value }) => [partition, offset, key, value]),
      [
        [1, 0, 'a', 'x'],
        [1, 1, null, 'y'],
        [1, 2, 'b', null],
        [1, 3, '', ''],
      ],
    )
    assert.deepEqual(handler.seen[0]?.headers, { one: '1', empty: '' })
    assert.deepEqual(handler.seen[1]?.headers, {})
  })

  law('a buffer may be used again as soon as append returns', async (bench) => {
    const topic = await bench.topic(1)
    const writer = await bench.writer()
    const value = Buffer.from('before')
    const stored = writer.append(topic, 0, { key: null, value })
    value.write('after!')
    await stored
    const { handler } = await bench.reader([topic], undefined)
    await handler.count(1)
    assert.equal(handler.seen[0]?.value, 'before')
  })

  law('many records over many batches arrive once each, in call order', async (bench) => {
    const topic = await bench.topic(2)
    const writer = await bench.writer()
    const padding = 'p'.repeat(400)
    const sent: Promise<void>[] = []
    for (let n = 0; n < 6000; n++) {
      sent.push(writer.append(topic, n % 2, text(`${n}:${padding}`)))
      if (n % 1000 === 999) await sent.at(-1)
    }
    await Promise.all(sent)
    assert.equal(writer.queuedBytes, 0)
    const { handler } = await bench.reader([topic], undefined)
    await handler.count(6000)
    for (const partition of [0, 1]) {
      const numbers = handler.seen
        .filter((record) => record.partition === partition)
        .map(({ value }) => Number.parseInt(value ?? '', 10))
      assert.deepEqual(
        numbers,
        Array.from({ length: 3000 }, (_, n) => n * 2 + partition),
      )
    }
  })
}

function refusalLaws(law: Law): void {
  law('a record that is too large is refused alone', async (bench) => {
    const topic = await bench.topic(1, { 'max.message.bytes': '100000' })
    const writer = await bench.writer()
    const large = { key: null, value: Buffer.alloc(150_000) }
    const before = Array.from({ length: 50 }, (_, n) => writer.append(topic, 0, text(`b${n}`)))
    const refused = writer.append(topic, 0, large)
    const after = Array.from({ length: 50 }, (_, n) => writer.append(topic, 0, text(`a${n}`)))
    await assert.rejects(refused, failsWith('payload_too_large'))
    await Promise.all([...before, ...after])
    const { handler } = await bench.reader([topic], undefined)
    await handler.count(100)
    const expected = [...before.map((_, n) => `b${n}`), ...after.map((_, n) => `a${n}`)]
    assert.deepEqual(
      handler.seen.map(({ value }) => value),
      expected,
    )
  })

  law('small records that are too large together are stored all the same', async (bench) => {
    const topic = await bench.topic(1, { 'max.message.bytes': '20000' })
    const writer = await bench.writer()
    const value = 'v'.repeat(1000)
    await Promise.all(Array.from({ length: 100 }, () => writer.append(topic, 0, text(value))))
    assert.equal((await bench.admin.offsetRange(topic)).get(0)?.end, 100)
  })

  law(
    'a compacted topic refuses a record without a key, and takes its neighbours',
    async (bench) => {
      const topic = await bench.topic(1, { 'cleanup.policy': 'compact' })
      const writer = await bench.writer()
      const first = writer.append(topic, 0, text('1'))
      const keyless = writer.append(topic, 0, { key: null, value: Buffer.from('2') })
      const third = writer.append(topic, 0, text('3'))
      await assert.rejects(keyless, failsWith('request_invalid'))
      await Promise.all([first, third])
      assert.equal((await bench.admin.offsetRange(topic)).get(0)?.end, 2)
    },
  )

  law('room is gone at the limit and comes back', async (bench) => {
    const topic = await bench.topic(1)
    const writer = await bench.writer({ queuedBytesMax: 10_000 })
    assert.ok(writer.hasRoom())
    const stored = Array.from({ length: 20 }, () => writer.append(topic, 0, text('v'.repeat(1000))))
    assert.ok(!writer.hasRoom())
    assert.ok(writer.queuedBytes >= 10_000)
    await writer.room()
    assert.ok(writer.hasRoom())
    await Promise.all(stored)
  })

  law('a drained writer has stored what it took and takes no more', async (bench) => {
    const topic = await bench.topic(1)
    const writer = await bench.writer()
    const stored = Array.from({ length: 100 }, (_, n) => writer.append(topic, 0, text(`${n}`)))
    await Promise.all([writer.drain(DRAIN_MS), writer.drain(DRAIN_MS)])
    await Promise.all(stored)
    await assert.rejects(writer.append(topic, 0, text('late')), failsWith('shutting_down'))
    assert.equal((await bench.admin.offsetRange(topic)).get(0)?.end, 100)
  })
}

function readingLaws(law: Law): void {
  law('reading starts where the owner says, and follows what is written', async (bench) => {
    const topic = await bench.topic(1)
    const writer = await bench.writer()
    await Promise.all(Array.from({ length: 10 }, (_, n) => writer.append(topic, 0, text(`${n}`))))
    const handler = new Recorder()
    handler.positionOf = () => 7
    await bench.reader([topic], undefined, handler)
    await handler.count(3)
    await writer.append(topic, 0, text('10'))
    await handler.count(4)
    assert.deepEqual(
      handler.seen.map(({ value }) => value),
      ['7', '8', '9', '10'],
    )
    const last = handler.batches.at(-1)
    assert.deepEqual(last, { firstOffset: 10, lastOffset: 10, endOffset: 11 })
  })

  law('private readers each get every partition of every topic', async (bench) => {
    const topics = [await bench.topic(2), await bench.topic(1)]
    const writer = await bench.writer()
    const [one = '', two = ''] = topics
    await Promise.all([0, 1].map((n) => writer.append(one, n, text(`${n}`))))
    await writer.append(two, 0, text('2'))
    const readers = await Promise.all([1, 2].map(() => bench.reader(topics, undefined)))
    for (const { consumer, handler } of readers) {
      await handler.count(3)
      const values = new Set(handler.seen.map(({ value }) => value))
      assert.deepEqual(values, new Set(['0', '1', '2']))
      assert.equal(handler.seen.length, 3)
      const [assignment] = handler.assignments
      assert.ok(assignment && assignment.committed === undefined)
      assert.equal(await consumer.commit(assignment, { offset: 1, metadata: '' }), false)
    }
  })
}

function pauseLaws(law: Law): void {
  law('a slow partition does not hold up the others', async (bench) => {
    const topic = await bench.topic(2)
    const writer = await bench.writer()
    const handler = new Recorder()
    let release: () => void = () => undefined
    const held = new Promise<void>((resolve) => (release = resolve))
    handler.hold = ({ partition }) => (partition === 0 ? held : Promise.resolve())
    await bench.reader([topic], bench.name(), handler)
    await writer.append(topic, 0, text('slow'))
    await handler.count(1)
    for (let n = 0; n < 5; n++) {
      await writer.append(topic, 1, text(`fast ${n}`))
      await handler.count(2 + n)
    }
    await writer.append(topic, 0, text('after'))
    release()
    await handler.count(7)
    assert.deepEqual(
      handler.seen.filter(({ partition }) => partition === 0).map(({ value }) => value),
      ['slow', 'after'],
    )
  })

  law('a paused partition rests until it is resumed', async (bench) => {
    const topic = await bench.topic(2)
    const writer = await bench.writer()
    const { consumer, handler } = await bench.reader([topic], bench.name())
    await handler.until(() => handler.assignments.length === 2)
    consumer.pause(topic, 0)
    await writer.append(topic, 0, text('paused'))
    for (let n = 0; n < 3; n++) {
      await writer.append(topic, 1, text(`${n}`))
      await handler.count(n + 1)
    }
    assert.ok(handler.seen.every(({ partition }) => partition === 1))
    consumer.resume(topic, 0)
    await handler.count(4)
    assert.equal(handler.seen.at(-1)?.value, 'paused')
  })

  law('a batch that throws ends the consumer with its failure', async (bench) => {
    const topic = await bench.topic(1)
    const writer = await bench.writer()
    const handler = new Recorder()
    handler.hold = () => Promise.reject(new Error('a defect'))
    const { consumer } = await bench.reader([topic], undefined, handler)
    await writer.append(topic, 0, text('x'))
    await assert.rejects(consumer.failure, /a defect/)
  })
}

function commitLaws(law: Law): void {
  law('a commit comes back with its metadata at the next assignment', async (bench) => {
    const topic = await bench.topic(1)
    const group = bench.name()
    const writer = await bench.writer()
    await Promise.all([0, 1, 2].map((n) => writer.append(topic, 0, text(`${n}`))))
    const first = await bench.reader([topic], group)
    await first.handler.count(3)
    const assignment = first.handler.latest(0)
    assert.equal(assignment.committed, undefined)
    const checkpoint = { offset: 2, metadata: 'v1;3;1700000000000;1700000000001' }
    assert.equal(await first.consumer.commit(assignment, checkpoint), true)
    assert.deepEqual((await bench.admin.committed(group, topic)).get(0), checkpoint)
    await first.consumer.drain(DRAIN_MS)
    assert.deepEqual(first.handler.revocations, [`${topic}/0`])
    assert.equal(await first.consumer.commit(assignment, { ...checkpoint, offset: 3 }), false)

    const second = await bench.reader([topic], group)
    await second.handler.count(1)
    assert.deepEqual(second.handler.latest(0).committed, checkpoint)
    assert.deepEqual(
      second.handler.seen.map(({ value }) => value),
      ['2'],
    )
  })

  law('a second member takes over partitions, and old epochs commit nothing', async (bench) => {
    const topic = await bench.topic(4)
    const group = bench.name()
    const writer = await bench.writer()
    await Promise.all([0, 1, 2, 3].map((n) => writer.append(topic, n, text('early'))))
    const one = new Recorder()
    // State in memory is ahead of the commit: the reader goes on from what it has seen.
    one.positionOf = ({ partition }) =>
      one.seen.filter((record) => record.partition === partition).length
    const { consumer } = await bench.reader([topic], group, one)
    await one.count(4)
    const before = [0, 1, 2, 3].map((partition) => one.latest(partition))
    const two = (await bench.reader([topic], group)).handler
    await one.until(() => one.revocations.length === 2)
    await two.until(() => two.assignments.length === 2)
    await one.until(() => one.assignments.length === 6)

    for (const assignment of before) {
      assert.equal(await consumer.commit(assignment, { offset: 1, metadata: 'old' }), false)
    }
    const kept = one.latest(one.assignments.at(-1)?.partition ?? -1)
    assert.ok(kept.epoch > (before[kept.partition]?.epoch ?? Infinity))
    assert.equal(await consumer.commit(kept, { offset: 1, metadata: 'new' }), true)

    await Promise.all([0, 1, 2, 3].map((n) => writer.append(topic, n, text('late'))))
    await one.until(() => one.seen.filter(({ value }) => value === 'late').length === 2)
    await two.until(() => two.seen.filter(({ value }) => value === 'late').length === 2)
    assert.equal(one.seen.length, 6, 'what a member keeps is not read a second time')
  })
}

function adminLaws(law: Law): void {
  law('topics are created once, and another partition count is refused', async (bench) => {
    const name = await bench.topic(3)
    const spec = { name, partitions: 3, replicationFactor: 1, config: {} }
    await bench.admin.ensureTopics([spec])
    assert.equal(await bench.admin.partitionCount(name), 3)
    await assert.rejects(
      bench.admin.ensureTopics([{ ...spec, partitions: 4 }]),
      failsWith('config_invalid'),
    )
    await assert.rejects(bench.admin.partitionCount(`${name}-absent`), failsWith('not_found'))
  })

  law('offsets are found by time and by range', async (bench) => {
    const topic = await bench.topic(2, { 'message.timestamp.type': 'LogAppendTime' })
    const writer = await bench.writer()
    for (let n = 0; n < 3; n++) await writer.append(topic, 0, text(`${n}`))
    const range = await bench.admin.offsetRange(topic)
    assert.deepEqual(range.get(0), { earliest: 0, end: 3 })
    assert.deepEqual(range.get(1), { earliest: 0, end: 0 })
    const { handler } = await bench.reader([topic], undefined)
    await handler.count(3)
    const times = handler.seen.map(({ timestampMs }) => timestampMs)
    const middle = times[1] ?? 0
    const found = await bench.admin.offsetsAt(topic, middle)
    assert.equal(
      found.get(0),
      times.findIndex((time) => time >= middle),
    )
    assert.equal(found.get(1), 0)
    const future = await bench.admin.offsetsAt(topic, (times[2] ?? 0) + 3_600_000)
    assert.equal(future.get(0), 3)
  })

  law('deleted records are gone, and offsets go on', async (bench) => {
    const topic = await bench.topic(2)
    const writer = await bench.writer()
    for (let n = 0; n < 5; n++) await writer.append(topic, 0, text(`${n}`))
    await bench.admin.deleteRecords(topic, new Map([[0, 3]]))
    assert.deepEqual((await bench.admin.offsetRange(topic)).get(0), { earliest: 3, end: 5 })
    await bench.admin.deleteRecords(topic, new Map([[0, 2]]))
    await bench.admin.deleteRecords(topic, new Map())
    const { handler } = await bench.reader([topic], undefined)
    await handler.count(2)
    assert.deepEqual(
      handler.seen.map(({ value }) => value),
      ['3', '4'],
    )
    assert.deepEqual((await bench.admin.offsetRange(topic)).get(1), { earliest: 0, end: 0 })
  })

  law('a group that never committed has no checkpoints', async (bench) => {
    const topic = await bench.topic(1)
    assert.equal((await bench.admin.committed(bench.name(), topic)).size, 0)
  })
}
