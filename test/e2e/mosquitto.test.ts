/** The README's first own reading, sent with Debian's mosquitto_pub as it is written there. */
import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import type { LiveItem } from '../../api/contract/live.ts'
import { openLive } from '../../loadtest/live-client.ts'
import { hostAndPort } from '../../loadtest/stack-file.ts'
import { eventually } from '../eventually.ts'
import { type System, startSystem } from '../system.ts'

const run = promisify(execFile)

function missingProgram(): string | false {
  try {
    execFileSync('mosquitto_pub', ['--help'], { stdio: 'ignore' })
  } catch (error) {
    // --help ends with 1 where it works.
    const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT') return 'mosquitto_pub is not installed (package mosquitto-clients)'
  }
  return false
}

describe('a reading sent with mosquitto_pub', { skip: missingProgram() }, () => {
  let system: System
  let credential: { username: string; secret: string }

  before(async () => {
    system = await startSystem()
    const response = await fetch(`${system.apiUrl}/v1/devices`, {
      method: 'POST',
      headers: { authorization: `Bearer ${system.apiKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ id: 'my-first-device' }),
    })
    const body: { credential: typeof credential } = JSON.parse(await response.text())
    credential = body.credential
  })
  after(() => system?.stop())

  it('without a time is in /latest and in the live feed', async () => {
    const live: LiveItem[] = []
    const close = await openLive(
      { url: system.apiUrl, key: system.apiKey },
      {
        stream: 'readings',
        devices: ['my-first-device'],
        metrics: ['temperature'],
        onItems: (items) => live.push(...items),
      },
    )
    await publish('{"temperature":21.5}', credential.secret)
    const item = await eventually('the reading in the live feed', () => live[0])
    assert.ok('value' in item && item.value === 21.5)
    const latest = await eventually('the reading in /latest', async () => {
      const response = await fetch(`${system.apiUrl}/v1/devices/my-first-device/latest`, {
        headers: { authorization: `Bearer ${system.apiKey}` },
      })
      const body: { values?: Record<string, { value: unknown }> } = JSON.parse(
        await response.text(),
      )
      return body.values?.['temperature']
    })
    assert.equal(latest.value, 21.5)
    await close()
  })

  it('with a wrong secret is refused', async () => {
    await assert.rejects(publish('{"temperature":1}', 'wrong'), /not authorised|refused/i)
  })

  const publish = (payload: string, secret: string): Promise<unknown> => {
    const { host, port } = hostAndPort(system.mqttUrl, 1883)
    const place = ['-h', host, '-p', String(port), '-q', '1', '-t', 't']
    return run('mosquitto_pub', [...place, '-u', credential.username, '-P', secret, '-m', payload])
  }
})
