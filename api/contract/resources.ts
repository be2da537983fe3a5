/**
 * What the api gives out and takes in. Times are integer milliseconds since 1970 UTC.
 * Errors are RFC 9457 problem documents, always with one of our codes.
 */
export type Value = number | boolean | string

export type Device = { id: string; name: string; state: DeviceState; createdAt: number }
export type DeviceState = 'pending' | 'active' | 'suspended' | 'quarantined' | 'retired'

/** GET /v1/about: what runs here, and where devices connect, where somebody said so. */
export type About = {
  version: string
  /** Such as mqtt://devices.example:1883. */
  mqttUrl?: string
}

/** POST /v1/devices. The secret appears in this answer only. */
export type NewDevice = { id: string; name?: string }
export type CreatedDevice = { device: Device; credential: { username: string; secret: string } }

/** GET /v1/devices?q&limit&cursor. `latest` is filled when `include=latest` is asked for. */
export type DeviceList = {
  items: (Device & { latest?: Record<string, LatestValue> })[]
  next: string | null
  /** How many devices match `q` on all pages; absent where counting would cost too much. */
  total?: number
}

/** GET /v1/devices/{id}/latest: newest by event time. */
export type LatestValue = { value: Value; at: number }
export type Latest = { device: string; values: Record<string, LatestValue> }

/** GET /v1/devices/{id}/readings?metric&from&to&limit&cursor: [from, to), oldest first. */
export type Readings = { items: { at: number; value: Value }[]; next: string | null }

/** GET /v1/devices/{id}/rollups?metric&from&to&resolution&maxPoints: windows that start in [from, to). */
export const RESOLUTIONS = ['10s', '1m', '15m', '1h', '6h', '1d'] as const
export type Resolution = (typeof RESOLUTIONS)[number]
export type Rollups = { resolution: Resolution; items: Rollup[] }
export type Rollup = {
  start: number
  count: number
  /**
   * Null for text series, which have only count, first and last. Sum and mean are null too when the
   * sum is beyond the range of a 64-bit float.
   */
  sum: number | null
  min: number | null
  max: number | null
  mean: number | null
  first: Value
  last: Value
  final: boolean
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
