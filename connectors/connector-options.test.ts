/** Limits that can be set must fit the limits that cannot. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { createAvroEncoder } from '../schemas/avro-codec.ts'
import { TELEMETRY_SCHEMA } from '../schemas/telemetry.ts'
import { TELEMETRY } from '../schemas/topics.ts'
import { CONNECTOR_OPTIONS } from './connector-options.ts'
import { decodeJson } from './payload/json-payload.ts'

const NOW = 1_767_225_600_000

/** As many metrics as fit: the shortest names, the shortest values. */
function widestPayload(bytesMax: number): Buffer {
  const members: string[] = []
  let bytes = 1
  for (let n = 0; ; n += 1) {
    const name = n.toString(36)
    if (name === 'ts') continue // Reserved.
    const member = `"${name}":1`
    bytes += member.length + 1
    if (bytes > bytesMax) return Buffer.from(`{${members.join(',')}}`)
    members.push(member)
  }
}

it('the widest payload of the highest limit fits a record of the topic', () => {
  const payload = widestPayload(CONNECTOR_OPTIONS.payloadBytesMax.max)
  const decoded = decodeJson(payload, NOW)
  assert.ok(decoded.kind === 'decoded')
  const encoder = createAvroEncoder<unknown>(TELEMETRY_SCHEMA, 1)
  const ids = { tenant: 't'.repeat(63), device: 'd'.repeat(128) }
  const rest = { recvTs: NOW, protocol: 'mqtt', stamped: false }
  const record = encoder.encode({ ...ids, ...rest, ...decoded.series })
  assert.ok(record.length < Number(TELEMETRY.config['max.message.bytes']) * 0.9)
})
