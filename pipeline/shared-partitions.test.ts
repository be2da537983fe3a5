/** Several pipelines share the partitions: what a death and what a restless group costs. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '../platform/clock.ts'
import { executeMembershipWill } from '../platform/kafka/leave-group.ts'
import type { ChildSpec } from '../platform/lifecycle/child-spec.ts'
import { Supervisor } from '../platform/lifecycle/supervisor.ts'
import { sendMess } from './testing/messy-load.ts'
import { type Deployment, deploy } from './testing/stack-deployment.ts'
import { parseCheckpoint } from './window/checkpoint.ts'

const FAST = { flushIntervalMs: '200', tickIntervalMs: '500', liveIntervalMs: '100' }
const PARTITIONS = 8
const ROUNDS = 10
/** For machines that have much else to do; what it took is printed. */
const RECOVERED_MS_MAX = 30_000

function pipelineProcess({ argv }: Deployment, id: string): ChildSpec {
  return {
    id,
    command: process.execPath,
    args: [join(import.meta.dirname, '..', 'cli', 'weir.js'), 'pipeline', ...argv],
    env: { WEIR_ADMIN_PORT: '0', WEIR_LOG_LEVEL: 'error' },
    restart: 'temporary',
    shutdownSignal: 'SIGTERM',
    shutdownMs: 10_000,
    readiness: { kind: 'ipc' },
    readyMs: 60_000,
  }
}

/** Of each process, the partitions that it reads: its own metrics say so. */
async function partitionsRead(supervisor: Supervisor): Promise<number[][]> {
  const admins = supervisor.status().flatMap(({ addresses }) => addresses['admin'] ?? [])
  return Promise.all(
    admins.map(async (url) => {
      const text = await (await fetch(`${url}/metrics`)).text()
      const lines = text.matchAll(/^weir_pipeline_watermark_lag_seconds\{.*partition="(\d+)"/gm)
      return [...lines].map(([, partition]) => Number(partition))
    }),
  )
}

test('one of two pipelines is killed: the other has caught up soon, and nothing is lost or double', async (t) => {
  const deployment = await deploy(PARTITIONS, FAST)
  const supervisor = new Supervisor({
    children: [['pipeline-1', 'pipeline-2'].map((id) => pipelineProcess(deployment, id))],
    clock: systemClock,
    executeWill: executeMembershipWill,
  })
  try {
    await supervisor.start()
    await sendMess(deployment, 2_000, 1)
    await deployment.settled()
    const read = await partitionsRead(supervisor)
    assert(
      read.every((partitions) => partitions.length > 0),
      JSON.stringify(read),
    )
    const load = sendMess(deployment, 3_000, 2)
    const killedMs = systemClock.monotonicMs()
    process.kill(supervisor.status()[0]?.pid ?? 0, 'SIGKILL')
    await deployment.settled()
    const tookMs = Math.round(systemClock.monotonicMs() - killedMs)
    t.diagnostic(`survivor has taken over and caught up ${tookMs} ms after kill -9`)
    assert(tookMs < RECOVERED_MS_MAX, `${tookMs} ms`)
    await load
    await deployment.settled()
    assert.deepEqual(await deployment.differences(), [])
  } finally {
    await supervisor.drain(10_000)
    await deployment.close()
  }
})

type Running = Awaited<ReturnType<Deployment['start']>>

async function metric({ metrics }: Running, name: string): Promise<number> {
  const { body } = await metrics.expose()
  return Number(new RegExp(`^${name}\\{.*\\} (\\d+)`, 'm').exec(body)?.[1])
}

/** Records that the group has counted for good, in all partitions together. */
async function progress({ log, prefix, topic }: Deployment): Promise<number> {
  const admin = log.admin()
  const committed = await admin.committed(`${prefix}rollup`, topic)
  await admin.close()
  return [...committed.values()].reduce(
    (sum, { offset, metadata }) => sum + (parseCheckpoint(offset, metadata)?.position ?? 0),
    0,
  )
}

test('a group in which somebody joins or leaves all the time goes on, and stays exact', async (t) => {
  const deployment = await deploy(PARTITIONS, FAST)
  const steady = await deployment.start()
  try {
    await sendMess(deployment, 100, 1)
    await Promise.race([deployment.settled(), steady.failure])
    const before = await progress(deployment)
    const guest = await deployment.start()
    await sendMess(deployment, 50, 2)
    await Promise.race([deployment.settled(), steady.failure, guest.failure])
    // It gave half away, and what it kept it went on with.
    assert.equal(await metric(steady, 'weir_pipeline_replayed_records_total'), 0)
    await guest.stop()
    const startedMs = systemClock.monotonicMs()
    for (let round = 0; round < ROUNDS; round += 1) {
      const load = sendMess(deployment, 150, 3 + round)
      const restless = await deployment.start()
      await load
      await restless.stop()
    }
    const stormMs = systemClock.monotonicMs() - startedMs
    const moved = (await progress(deployment)) - before
    await Promise.race([deployment.settled(), steady.failure])
    const rebalances = await metric(steady, 'weir_kafka_rebalances_total')
    t.diagnostic(`${rebalances} rebalances, ${Math.round(stormMs)} ms, ${moved} records committed`)
    // Who leaves and who comes next may be one rebalance.
    assert(rebalances >= ROUNDS)
    assert(moved > 0)
    assert.deepEqual(await deployment.differences(), [])
  } finally {
    await steady.stop()
    await deployment.close()
  }
})
