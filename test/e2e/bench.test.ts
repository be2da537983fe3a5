/** Every bench and load test, small: so that they cannot rot. No figure is judged here. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type System, startSystem, weir } from '../system.ts'

const SMALL: Readonly<Record<string, readonly string[]>> = {
  'bench mqtt': ['--connections', '20', '--rate', '200', '--seconds', '1', '--rounds', '1'],
  'bench rollup': [
    ...['--records', '5000', '--devices', '50', '--rounds', '1'],
    ...['--peers', '1', '--only', 'weir,kafkajs'],
  ],
  'bench catchup': ['--rate', '500', '--seconds', '20', '--limit-s', '60'],
  'bench latency': [
    ...['--rate', '200', '--seconds', '2', '--warm-up', '1'],
    ...['--row-ms', '60000', '--live-ms', '60000'],
  ],
  'bench memory': [
    ...['--series', '2000', '--resident-max', '2560'],
    ...['--window-bytes', '100000', '--sample-bytes', '100000'],
  ],
  'loadtest run': ['--devices', '5', '--rate', '50', '--duration', '2', '--reconcile'],
}

describe('a long command on a running system', () => {
  let system: System
  before(async () => {
    system = await startSystem()
  })
  after(() => system?.stop())

  for (const [name, flags] of Object.entries(SMALL)) {
    it(`${name} ends with one JSON object that says whether its promise holds`, async () => {
      const [command = '', ...words] = name.split(' ')
      const args = [...words, '--stack', system.stackFile, '--json', ...flags]
      const output = await weir(command, {}, args)
      const last: { command?: string; ok?: boolean } = JSON.parse(
        output.trim().split('\n').at(-1) ?? '',
      )
      assert.deepEqual([last.command, last.ok], [name, true])
    })
  }
})
