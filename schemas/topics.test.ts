import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { deviceKey, murmur2, partitionOf, subjectOf, TOPICS } from './topics.ts'
import { topicSpecs } from './topic-specs.ts'

test('murmur2 gives the values of Kafka’s own unit test', () => {
  const vectors: [string, number][] = [
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ]
  for (const [text, expected] of vectors)
    assert.equal(murmur2(Buffer.from(text)) | 0, expected, text)
})

test('every key has a partition', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.integer({ min: 1, max: 1000 }), (key, partitions) => {
      const partition = partitionOf(key, partitions)
      return Number.isInteger(partition) && partition >= 0 && partition < partitions
    }),
  )
})

test('a topic’s specification carries the prefix and what its replicas promise', () => {
  const [first] = topicSpecs('demo.', 12, 3)
  assert.equal(first?.name, 'demo.telemetry.v1')
  assert.equal(first?.partitions, 12)
  assert.equal(first?.config['message.timestamp.type'], 'LogAppendTime')
  assert.equal(first?.config['min.insync.replicas'], '2')
  assert.equal(topicSpecs('', 1, 1)[0]?.config['min.insync.replicas'], '1')
  assert.equal(topicSpecs('', 1, 1).length, TOPICS.length)
})

test('subjects and keys are spelled as documented', () => {
  assert.equal(subjectOf('telemetry.v1'), 'telemetry.v1-value')
  assert.equal(deviceKey('acme', 'pump-7'), 'acme/pump-7')
})
