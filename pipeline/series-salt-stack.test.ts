/** Ids of series on real servers: what devices choose as names stops nobody. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../platform/clock.ts'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { once } from 'node:events'
import { testStack } from '../test/stack.ts'
import { COLLIDING_METRICS } from './testing/colliding-metrics.ts'
import { emptyRecord } from './testing/fold-log.ts'
import { type Deployment, deploy } from './testing/stack-deployment.ts'
import { seriesIdAsBigint, seriesIdOf } from './window/series-id.ts'

const FAST = { flushIntervalMs: '100', tickIntervalMs: '200', liveIntervalMs: '1000' }

const send = (deployment: Deployment, device: string, metric: string): Promise<void> => {
  const nowMs = systemClock.nowMs()
  const record = emptyRecord(device, nowMs)
  record.numbers.push({ metric, t0: nowMs, dt: [0], v: [1] })
  return deployment.send(record)
}

/** In front of a server that is down until it opens. */
async function closedGate({ hostname, port }: URL) {
  const sockets = new Set<Socket>()
  let isOpen = false
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    if (!isOpen) return socket.destroy()
    const behind = connect(Number(port), hostname)
    sockets.add(behind)
    behind.on('error', () => socket.destroy())
    return socket.pipe(behind).pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, // It listens at a port.
    open: () => (isOpen = true),
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

const storedSeries = ({ clickhouse }: Deployment) =>
  clickhouse.select<{ metric: string }>('SELECT metric FROM series FINAL ORDER BY metric')

test('two metrics of a device that were made to have one id do not end the pipeline', async () => {
  const deployment = await deploy(1, FAST)
  const pipeline = await deployment.start()
  try {
    const { device, metrics } = COLLIDING_METRICS
    for (const metric of metrics) await send(deployment, device, metric)
    await send(deployment, 'd1', 'm')
    await Promise.race([deployment.settled(), pipeline.failure])
    assert.deepEqual(await storedSeries(deployment), [
      { metric: 'm' },
      ...metrics.toSorted().map((metric) => ({ metric })),
    ])
    assert.deepEqual(await deployment.deadLetters(), [])
    assert.deepEqual(await deployment.differences(), [])
  } finally {
    await pipeline.stop()
    await deployment.close()
  }
})

test('a pipeline that cannot read the salt yet is up, folds nothing, and goes on when it can', async () => {
  const deployment = await deploy(1, FAST)
  const { clickhouse } = deployment
  await clickhouse.command('RENAME TABLE series_salt TO series_salt_away')
  const pipeline = await deployment.start()
  try {
    assert.match(pipeline.notReady().join(' '), /series_salt/)
    await send(deployment, 'd1', 'm')
    await clickhouse.command('RENAME TABLE series_salt_away TO series_salt')
    await Promise.race([deployment.settled(), pipeline.failure])
    assert.deepEqual(pipeline.notReady(), [])
    assert.deepEqual(await storedSeries(deployment), [{ metric: 'm' }])
    assert.deepEqual(await deployment.differences(), [])
    const [id] = await clickhouse.select<{ series: string }>('SELECT series FROM series')
    const unsalted = seriesIdOf({ device: 'd1', metric: 'm', kind: 'number' }, '')
    assert.notEqual(id?.series, seriesIdAsBigint(unsalted).toString())
  } finally {
    await pipeline.stop()
    await deployment.close()
  }
})

test('a pipeline that starts while ClickHouse is down goes on when it is there', async () => {
  const { clickhouse } = await testStack()
  const gate = await closedGate(new URL(clickhouse.url))
  const deployment = await deploy(1, { ...FAST, clickhouseUrl: gate.url })
  const pipeline = await deployment.start()
  try {
    await send(deployment, 'd1', 'm')
    assert.match(pipeline.notReady().join(' '), /did not answer/)
    gate.open()
    await Promise.race([deployment.settled(), pipeline.failure])
    assert.deepEqual(await deployment.differences(), [])
  } finally {
    await pipeline.stop()
    await deployment.close()
    await gate.close()
  }
})
