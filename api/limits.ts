/**
 * Every limit of the api, in one place. They are published in /openapi.json under `x-limits`, and
 * an error that a limit causes names it. The assertions at the end hold them against each other.
 */
import assert from 'node:assert/strict'
import { CREDENTIALS_PER_DEVICE_MAX } from '../devices/credential-store.ts'
import { METRICS_PER_DEVICE_MAX } from '../schemas/telemetry.ts'

export const LIMITS = {
  /** A request's body. */
  bodyBytesMax: 64 * 1024,
  jsonDepthMax: 16,
  /** A whole query string, and one value in it. */
  queryBytesMax: 8 * 1024,
  textParameterCharsMax: 512,
  /** Requests being answered at once; further ones are told to come back. */
  requestsInFlightMax: 256,
  devicesPerPageMax: 500,
  devicesPerPageDefault: 100,
  /** Above this many matches a list does not say how many there are. */
  devicesCountedMax: 100_000,
  credentialsPerDeviceMax: CREDENTIALS_PER_DEVICE_MAX,
  keysPerPageMax: 500,
  keysPerPageDefault: 100,
  changesPerPageMax: 500,
  changesPerPageDefault: 100,
  readingsPerPageMax: 10_000,
  readingsPerPageDefault: 1_000,
  rollupPointsMax: 10_000,
  rollupPointsDefault: 1_000,
  /** Windows of one answer whose percentiles are asked for, and how many of them. */
  percentilePointsMax: 2_000,
  percentilesMax: 10,
  /** Samples of one window that are folded again to explain it. */
  explainSamplesMax: 100_000,
  /** A month of hours. */
  auditHoursMax: 31 * 24,
  /** The longest expected interval between two samples. */
  intervalMsMax: 31 * 86_400_000,
  /** How long one question may keep the database busy. */
  querySecondsMax: 10,
  metricCharsMax: 128,
  /** 2106-02-07, the last second that the tables can hold. */
  timeMsMax: 4_294_967_295_000,
  apiKeyCharsMax: 256,

  /** Live feed. */
  liveSocketsMax: 2_000,
  liveHelloMsMax: 10_000,
  liveMessageBytesMax: 64 * 1024,
  liveSubscriptionsMax: 64,
  liveSubscriptionIdCharsMax: 64,
  liveNamesPerSubscriptionMax: 1_000,
  /** A frame's items; more go into the next frames. */
  liveFrameItemsMax: 1_000,
  liveFrameBytesMax: 512 * 1024,
  /** Unread bytes of a socket above which nothing more is sent to it. */
  liveSocketBytesMax: 256 * 1024,
  /** Waiting steps of a subscription above which only the newest of each series is kept. */
  liveStepsMax: 2_000,
  /** Waiting series of a subscription above which it starts again with a new snapshot. */
  livePendingSeriesMax: 20_000,
  /** Waiting bytes of a subscription, about; above them it is conflated, then starts again. */
  livePendingBytesMax: 8 * 1024 * 1024,
  liveSnapshotItemsMax: 50_000,
  /** Series whose newest value is kept in memory. */
  latestSeriesMax: 500_000,
  latestMetricsPerDeviceMax: METRICS_PER_DEVICE_MAX,
} as const

/** Called once at start-up: limits that contradict each other are a defect. */
export function assertLimits(): void {
  assert.ok(LIMITS.devicesPerPageDefault <= LIMITS.devicesPerPageMax)
  assert.ok(LIMITS.keysPerPageDefault <= LIMITS.keysPerPageMax)
  assert.ok(LIMITS.changesPerPageDefault <= LIMITS.changesPerPageMax)
  assert.ok(LIMITS.readingsPerPageDefault <= LIMITS.readingsPerPageMax)
  assert.ok(LIMITS.rollupPointsDefault <= LIMITS.percentilePointsMax)
  assert.ok(LIMITS.percentilePointsMax <= LIMITS.rollupPointsMax)
  assert.ok(LIMITS.liveFrameItemsMax <= LIMITS.liveStepsMax)
  assert.ok(LIMITS.liveStepsMax <= LIMITS.livePendingSeriesMax)
  assert.ok(LIMITS.liveFrameBytesMax <= LIMITS.livePendingBytesMax)
  assert.ok(LIMITS.livePendingSeriesMax <= LIMITS.liveSnapshotItemsMax)
  assert.ok(LIMITS.textParameterCharsMax <= LIMITS.queryBytesMax)
  assert.ok(LIMITS.devicesPerPageMax <= LIMITS.liveNamesPerSubscriptionMax)
}
