/**
 * The live feed, a WebSocket at /v1/live. The key travels in the first message, never in the URL.
 *
 *   client  {"type":"hello","key"}                                    within 10 s
 *   server  {"type":"hello"}
 *   client  {"type":"subscribe","id","stream","devices":[…],"metrics":[…]}   "*" alone means all
 *   server  {"type":"snapshot","id","cursor","items":[…]}              what is true now
 *   server  {"type":"update","id","cursor","items":[…]}                what changed since
 *   client  {"type":"unsubscribe","id"}
 *   server  {"type":"error","id"?,"code","detail"}
 *
 * A client that reads slowly gets the newest state of each series instead of every step.
 */
import type { LatestValue, Rollup } from './resources.ts'

export type LiveStream = 'readings' | 'rollups' | 'alerts'

export type ClientMessage =
  | { type: 'hello'; key: string }
  | {
      type: 'subscribe'
      id: string
      stream: LiveStream
      devices: string[]
      metrics: string[]
      resolution?: '10s' | '1m'
    }
  | { type: 'unsubscribe'; id: string }

export type ServerMessage =
  | { type: 'hello' }
  | { type: 'snapshot'; id: string; cursor: string; items: LiveItem[] }
  | { type: 'update'; id: string; cursor: string; items: LiveItem[] }
  | { type: 'error'; id?: string; code: string; detail: string }

export type ReadingItem = { device: string; metric: string } & LatestValue
export type RollupItem = { device: string; metric: string; resolution: '10s' | '1m' } & Rollup
export type LiveItem = ReadingItem | RollupItem
