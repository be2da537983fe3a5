/**
 * What the api gives out and takes in. Times are integer milliseconds since 1970 UTC.
 * Errors are RFC 9457 problem documents, always with one of our codes.
 */
export type Value = number | boolean | string

export type Device = {
  id: string
  name: string
  state: DeviceState
  /** Why it is in its state, who put it there, and when; '' where nobody said why. */
  stateReason: string
  stateBy: string
  stateAt: number
  /** What becomes of messages whose times cannot be believed: refused, or given receive times. */
  clockPolicy: ClockPolicy
  createdAt: number
  /** Tells apart devices that had one id one after the other. */
  uid: string
  /** Counts changes; also the ETag, in quotes. */
  version: number
}
/** PUT /v1/devices/{id}/state */
export type StateChange = { state: DeviceState; reason: string }
export type ClockPolicy = 'reject' | 'restamp'
export type DeviceState = 'pending' | 'active' | 'suspended' | 'quarantined' | 'retired'

/** GET /v1/about: what runs here, and where devices connect, where somebody said so. */
export type About = {
  version: string
  /** Such as mqtt://devices.example:1883. */
  mqttUrl?: string
}

/** POST /v1/devices. The secret appears in this answer only. */
export type NewDevice = { id: string; name?: string; clockPolicy?: ClockPolicy }
/** PATCH /v1/devices/{id}. What is left out stays as it is. */
export type DeviceChange = { name?: string; clockPolicy?: ClockPolicy }
export type CreatedDevice = { device: Device; credential: { username: string; secret: string } }

/** GET /v1/devices?q&limit&cursor. `latest` is filled when `include=latest` is asked for. */
export type DeviceList = {
  items: (Device & { latest?: Record<string, LatestValue> })[]
  next: string | null
  /** How many devices match `q` on all pages; absent where counting would cost too much. */
  total?: number
}

/** GET /v1/devices/{id}/latest: newest by event time. */
export type LatestValue = {
  value: Value
  at: number
  /** The time that the device claimed, where the edge restamped its message; absent otherwise. */
  deviceAt?: number
}
export type Latest = { device: string; values: Record<string, LatestValue> }

/** GET /v1/devices/{id}/readings?metric&from&to&limit&cursor: [from, to), oldest first. */
export type Readings = { items: Reading[]; next: string | null }
export type Reading = LatestValue

/**
 * GET /v1/devices/{id}/rollups?metric&from&to&resolution&maxPoints&kind&percentiles&intervalMs:
 * windows that start in [from, to).
 */
export const RESOLUTIONS = ['10s', '1m', '15m', '1h', '6h', '1d'] as const
export type Resolution = (typeof RESOLUTIONS)[number]
/** Those that are stored; the others are merged from them when they are asked for. */
export const STORED_RESOLUTIONS = ['10s', '1m', '1h', '1d'] as const
export type StoredResolution = (typeof STORED_RESOLUTIONS)[number]

/** A metric that changed its type has a series of each kind. */
export const SERIES_KINDS = ['number', 'boolean', 'text'] as const
export type SeriesKind = (typeof SERIES_KINDS)[number]

export type Rollups = {
  resolution: Resolution
  items: Rollup[]
  /** Of the series that answered; absent where nothing was ever stored. */
  kind?: SeriesKind
  /** The largest error of a percentile, as a share of its value. Only where percentiles are. */
  percentileRelativeError?: number
  /** What completeness is measured against. Only where `intervalMs` was given. */
  expected?: { intervalMs: number; samplesPerWindow: number }
  /** Windows that start before this have expired at this resolution; only where the span does. */
  expiredBefore?: number
}
export type Rollup = {
  start: number
  count: number
  /**
   * Null for text series, which have only count, first and last. What is computed from sums is null
   * too when it is beyond the range of a 64-bit float.
   */
  sum: number | null
  min: number | null
  max: number | null
  mean: number | null
  /** Standard deviation of the samples themselves (population, not of a larger whole). */
  stddev: number | null
  /** The mean over time from the first sample to the last, with straight lines in between. */
  timeWeightedMean: number | null
  first: Value
  last: Value
  /** By percentile, as it was asked for; null for texts. */
  percentiles?: Record<string, number | null>
  /** Samples that came as a share of those expected in the whole window, at most 1. */
  completeness?: number
  final: boolean
  /** When a late sample last changed this window after it was final; 0: never. */
  correctedAt: number
  /** Of two states of one window the higher version is right. */
  version: number
}

/** RFC 9457, application/problem+json. */
export type Problem = {
  type: string
  title: string
  status: number
  code: string
  detail: string
  retryAfterMs?: number
  /** The field or parameter the problem is about. */
  field?: string
}
