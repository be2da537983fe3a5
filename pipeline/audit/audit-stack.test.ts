/** The audit on real servers: silent about a sound system, and loud, by name, about each harm. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { systemClock } from '../../platform/clock.ts'
import { emptyRecord } from '../testing/fold-log.ts'
import { type Deployment, deploy } from '../testing/stack-deployment.ts'
import { auditOf } from './testing/audited-deployment.ts'

const FAST = { flushIntervalMs: '100', tickIntervalMs: '200', liveIntervalMs: '50' }

let deployment: Deployment
let pipeline: Awaited<ReturnType<Deployment['start']>>
const startedMs = systemClock.nowMs()

before(async () => {
  deployment = await deploy(3, FAST)
  pipeline = await deployment.start()
  for (let n = 0; n < 200; n += 1) {
    const nowMs = systemClock.nowMs()
    const record = emptyRecord(`d${n % 5}`, nowMs)
    const t0 = nowMs - 60_000 - (n % 7) * 1000
    record.numbers.push({ metric: 'temperature', t0, dt: [0, 10, 10], v: [n, n / 3, 7] })
    record.strings.push({ metric: 'state', t0, dt: [0], v: [`s${n}`] })
    await deployment.send(record)
    if (n % 10 === 0) await deployment.send(record)
  }
  await Promise.race([deployment.settled(), pipeline.failure])
})

after(async () => {
  await pipeline.stop()
  await deployment.close()
})

test('a sound system has no findings', async () => {
  const result = await auditOf(deployment, { fromMs: startedMs })
  console.log(result.tallies, result.findings, result.cut)
  assert.deepEqual(result.findings, [])
})
