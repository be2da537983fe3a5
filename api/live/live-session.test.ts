/** A session that says nothing, and one whose key is revoked, are ended; on a socket of paper. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { systemClock } from '../../platform/clock.ts'
import type { ServerSocket } from '../../platform/http/http-exchange.ts'
import { Metrics } from '../../platform/observe/metrics.ts'
import { Authenticator } from '../access/authenticator.ts'
import { LIMITS } from '../limits.ts'
import { TelemetryReader } from '../readings/telemetry-reader.ts'
import { silentLogger } from '../testing/api-fixture.ts'
import { HistoryLoader } from './history-loader.ts'
import { LatestValues } from './latest-values.ts'
import { LiveFlow } from './live-flow.ts'
import { LiveHub } from './live-hub.ts'
import { LiveSession } from './live-session.ts'
import { RecentWindows } from './recent-windows.ts'

class PaperSocket implements ServerSocket {
  readonly remoteAddress = '127.0.0.1'
  bufferedBytes = 0
  readonly sent: string[] = []
  closedWith: number | undefined

  send(text: string): void {
    this.sent.push(text)
  }

  close(code: number): void {
    this.closedWith = code
  }
}

const flowOf = (): LiveFlow => new LiveFlow({ silenceMs: 15_000, checkEveryMs: 1_000 })

function sessionOn(
  socket: ServerSocket,
  owners: Map<string, string>,
  nowMs: () => number,
  flow = flowOf(),
): LiveSession {
  const clock = { nowMs: systemClock.nowMs, monotonicMs: nowMs }
  const metrics = new Metrics({ role: 'api', processMetrics: false })
  const latest = new LatestValues({ seriesMax: 10, metricsPerDeviceMax: 10 })
  const windows = new RecentWindows(10)
  const telemetry = new TelemetryReader({
    select: async () => {
      throw new Error('nobody asks')
    },
  })
  const keys = {
    find: async (key: string) => {
      const tenant = owners.get(key)
      if (tenant === undefined) return undefined
      const principal = { tenant, name: 'key:test', role: 'viewer', scopes: undefined } as const
      return { principal, expiresAtMs: undefined }
    },
  }
  const parts = {
    hub: new LiveHub({ latest, windows, metrics, clock, snapshotItemsMax: 10 }),
    flow,
    history: new HistoryLoader({ latest, telemetry, clock, logger: silentLogger }),
    authenticator: new Authenticator({ keys, hears: () => false, used: () => {}, clock }),
    metrics,
    logger: silentLogger,
  }
  return new LiveSession(parts, socket, { closed: () => {}, subscriptionsChanged: () => {} })
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

it('a socket without a hello is closed at its deadline', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const socket = new PaperSocket()
  sessionOn(socket, new Map(), () => 0)
  t.mock.timers.tick(LIMITS.liveHelloMsMax - 1)
  assert.equal(socket.closedWith, undefined)
  t.mock.timers.tick(1)
  assert.match(socket.sent[0] ?? '', /"code":"unauthenticated"/)
  assert.equal(socket.closedWith, 1008)
})

it('a session ends when its key is revoked, once the key is looked up anew', async () => {
  let nowMs = 0
  const owners = new Map([['key', 'acme']])
  const socket = new PaperSocket()
  const session = sessionOn(socket, owners, () => nowMs)
  session.message('{"type":"hello","key":"key"}')
  await settled()
  assert.deepEqual(socket.sent, ['{"type":"hello"}'])
  owners.clear()
  await session.recheck()
  assert.equal(socket.closedWith, undefined)
  nowMs = 60_000
  await session.recheck()
  assert.equal(socket.closedWith, 1008)
})

it('a socket that asks without end and reads nothing is closed', async () => {
  const socket = new PaperSocket()
  const session = sessionOn(socket, new Map([['key', 'acme']]), () => 0)
  session.message('{"type":"hello","key":"key"}')
  await settled()
  socket.bufferedBytes = LIMITS.liveSocketBytesMax * 5
  session.message('{"type":"unsubscribe","id":"x"}')
  assert.equal(socket.closedWith, 1008)
})

it('whoever says hello while the feed stands still is told so, and when it moves again', async () => {
  const flow = flowOf()
  for (let ms = 0; ms <= 15_000; ms += 1_000) flow.check({ monotonicMs: ms, nowMs: 100_000 + ms })
  const socket = new PaperSocket()
  const session = sessionOn(socket, new Map([['key', 'acme']]), () => 0, flow)
  flow.watch((status) => session.status(status))
  session.status(flow.status)
  assert.deepEqual(socket.sent, [], 'nothing before hello')
  session.message('{"type":"hello","key":"key"}')
  await settled()
  flow.heard(200_000)
  const [hello, standing, moving] = socket.sent.map((text): unknown => JSON.parse(text))
  assert.deepEqual(hello, { type: 'hello' })
  const detail = 'nothing comes from the log: Kafka or the pipeline is down'
  assert.deepEqual(standing, { type: 'status', flowing: false, sinceMs: 100_000, detail })
  assert.deepEqual(moving, { type: 'status', flowing: true })
})
