/**
 * The newest state of some rollup windows of one device, published before the rows are flushed.
 * Absolute, not a delta: of two updates of one window the one with the higher version is right,
 * whichever arrived last.
 */
export const WINDOW_UPDATE_SCHEMA = {
  type: 'record',
  name: 'WindowUpdate',
  namespace: 'weir',
  fields: [
    { name: 'tenant', type: 'string' },
    { name: 'device', type: 'string' },
    {
      name: 'windows',
      type: {
        type: 'array',
        items: {
          type: 'record',
          name: 'Window',
          fields: [
            { name: 'metric', type: 'string' },
            { name: 'kind', type: 'string', doc: 'number, boolean or text.' },
            { name: 'resolutionMs', type: 'int' },
            { name: 'start', type: 'long' },
            { name: 'count', type: 'int' },
            { name: 'sum', type: 'double' },
            { name: 'min', type: 'double' },
            { name: 'max', type: 'double' },
            { name: 'first', type: 'double' },
            { name: 'last', type: 'double' },
            { name: 'firstTs', type: 'long' },
            { name: 'lastTs', type: 'long' },
            { name: 'm2', type: 'double' },
            { name: 'integral', type: 'double' },
            { name: 'firstText', type: 'string', default: '' },
            { name: 'lastText', type: 'string', default: '' },
            { name: 'final', type: 'boolean' },
            { name: 'correctedAt', type: 'long', default: 0 },
            { name: 'version', type: 'long' },
          ],
        },
      },
    },
  ],
} as const

export type SeriesKind = 'number' | 'boolean' | 'text'
export type Window = {
  metric: string
  kind: SeriesKind
  resolutionMs: number
  /** Start of the window, ms since 1970 UTC; it ends before start + resolutionMs. */
  start: number
  count: number
  sum: number
  min: number
  max: number
  first: number
  last: number
  firstTs: number
  lastTs: number
  /** Sum of squared distances from the mean (Welford). */
  m2: number
  /** Time-weighted integral over the window's first to last sample, in value × ms. */
  integral: number
  firstText: string
  lastText: string
  final: boolean
  /** Log append time of the late record that corrected this window; 0 when none did. */
  correctedAt: number
  /** topicEpoch (8 bits) | offset (48) | foldEpoch (8). topicEpoch is 0 for telemetry.v1. */
  version: number
}
export type WindowUpdate = { tenant: string; device: string; windows: Window[] }
