import assert from 'node:assert/strict'
import { it } from 'node:test'
import { readOptions } from '../platform/config/read-options.ts'
import { API_OPTIONS, contradictions } from './api-options.ts'

const REQUIRED = {
  WEIR_CREDENTIAL_KEY: 'ab'.repeat(32),
  WEIR_POSTGRES_URL: 'postgres://weir@127.0.0.1/weir',
}

function problemsWith(env: Readonly<Record<string, string>>): readonly string[] {
  const read = readOptions(API_OPTIONS, { argv: [], env: { ...REQUIRED, ...env } })
  return read.kind === 'problems' ? read.problems : contradictions(read.values)
}

it('takes a public MQTT address with or without TLS, on a name, an address or a port', () => {
  for (const url of ['', 'mqtt://devices.example', 'mqtts://10.0.0.1:8883', 'mqtt://[::1]:1883']) {
    assert.deepEqual(problemsWith({ WEIR_PUBLIC_MQTT_URL: url }), [], url)
  }
})

it('refuses one that a device could not use, or that holds a password', () => {
  for (const url of ['localhost:1883', 'http://a', 'mqtt://', 'mqtt://me:secret@a', 'mqtt://a/b']) {
    const [problem] = problemsWith({ WEIR_PUBLIC_MQTT_URL: url })
    assert.match(problem ?? '', /WEIR_PUBLIC_MQTT_URL.* must be like mqtt:/, url)
    assert.ok(!problem?.includes('secret'))
  }
})

it('refuses an origin with a path', () => {
  assert.equal(problemsWith({ WEIR_API_ALLOWED_ORIGINS: 'https://ops.example/page' }).length, 1)
})
