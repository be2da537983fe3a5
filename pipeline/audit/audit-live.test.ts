/**
 * An audit of a system that works meanwhile, and is killed, has no findings either: what is on its
 * way is left out, and what changes while it is read is not taken for a mistake.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../platform/clock.ts'
import { sendMess } from '../testing/messy-load.ts'
import { killed, startChild } from '../testing/pipeline-child.ts'
import { type Deployment, deploy } from '../testing/stack-deployment.ts'
import { totalOf } from './audit-report.ts'
import { auditOf } from './testing/audited-deployment.ts'

const FAST = { flushIntervalMs: '100', tickIntervalMs: '200', liveIntervalMs: '1000' }
const AUDITS = Number(process.env['WEIR_TEST_AUDITS'] ?? 4)

/** Late, unordered and repeated samples, until told. */
async function loadUntil(deployment: Deployment, isOver: () => boolean): Promise<void> {
  for (let seed = 1; !isOver(); seed += 1) {
    await sendMess(deployment, 50, seed)
    // A pace that the pipeline can follow on a busy machine.
    await new Promise((resolve) => setTimeout(resolve, 30))
  }
}

test('audits under load, over corrections and a kill, find nothing', async (t) => {
  const startedMs = systemClock.nowMs()
  const deployment = await deploy(3, FAST)
  let isOver = false
  let child = await startChild(deployment)
  await sendMess(deployment, 300, 0)
  await deployment.settled()
  const load = loadUntil(deployment, () => isOver)
  try {
    for (let n = 0; n < AUDITS; n += 1) {
      const killing = n === 1 ? killed(child).then(() => startChild(deployment)) : undefined
      const result = await auditOf(deployment, { fromMs: startedMs, sliceSamples: 2_000 })
      if (killing !== undefined) child = await killing
      assert.deepEqual(result.findings, [])
      assert.ok(totalOf(result.tallies).stored > 300)
      const { stored, windowsChecked, corrected } = totalOf(result.tallies)
      const { openRecords } = result.cut
      t.diagnostic(JSON.stringify({ stored, windowsChecked, corrected, openRecords }))
    }
    isOver = true
    await load
    await deployment.settled()
    const last = await auditOf(deployment, { fromMs: startedMs })
    assert.deepEqual(last.findings, [])
    const total = totalOf(last.tallies)
    assert.ok(total.duplicates > 0 && total.corrected > 0 && total.windowsChecked > 100)
  } finally {
    isOver = true
    await load
    await killed(child)
    await deployment.close()
  }
})
