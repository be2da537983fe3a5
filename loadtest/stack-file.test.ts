import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { hostAndPort, partOf, readStackFile } from './stack-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'weir-stack-file-'))
after(() => rmSync(folder, { recursive: true }))
const path = join(folder, 'local.json')

describe('the description of a running system', () => {
  it('is read part by part; an absent part is named when it is needed', () => {
    const kafka = { brokers: ['127.0.0.1:9092'] }
    writeFileSync(path, JSON.stringify({ api: { url: 'http://a', key: 'k' }, kafka }))
    const stack = readStackFile(path)
    assert.deepEqual(partOf(stack, 'api'), { url: 'http://a', key: 'k' })
    assert.deepEqual(partOf(stack, 'kafka'), { ...kafka, topicPrefix: '' })
    assert.throws(() => partOf(stack, 'mqtt'), /has no "mqtt" part/)
  })

  it('that is missing or broken is told in a sentence', () => {
    assert.throws(() => readStackFile(join(folder, 'none')), /is the system running/)
    for (const body of ['', '[]', 'null', '{"api"']) {
      writeFileSync(path, body)
      assert.throws(() => readStackFile(path), /not a JSON object/)
    }
  })

  it('gives host and port of an address, also of IPv6', () => {
    assert.deepEqual(hostAndPort('mqtt://127.0.0.1:1884', 1883), { host: '127.0.0.1', port: 1884 })
    assert.deepEqual(hostAndPort('mqtt://[::1]', 1883), { host: '::1', port: 1883 })
  })
})
