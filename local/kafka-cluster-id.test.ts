/** The name of a new Kafka cluster, whatever the random bytes are. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clusterIdOf, newClusterId } from './kafka-cluster-id.ts'

test('one first start in 64 failed: a cluster id that began with "-" was taken for an option', () => {
  for (let first = 0; first < 256; first++) {
    const id = clusterIdOf(Buffer.alloc(16, first))
    assert.match(id, /^[A-Za-z0-9][A-Za-z0-9_-]{21}$/)
    assert.equal(Buffer.from(id, 'base64url').length, 16)
  }
})

test('two clusters have two names', () => {
  assert.notEqual(newClusterId(), newClusterId())
})
