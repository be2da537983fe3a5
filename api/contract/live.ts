/**
 * The live feed, a WebSocket at /v1/live. The key travels in the first message, never in the URL.
 *
 *   client  {"type":"hello","key"}                                    within 10 s
 *   server  {"type":"hello"}
 *   client  {"type":"subscribe","id","stream","devices":[…],"metrics":[…]}
 *           no names, or "*" alone: all of them
 *   server  {"type":"snapshot","id","cursor","items":[…]}              what is true now
 *   server  {"type":"update","id","cursor","items":[…]}                what changed since
 *   client  {"type":"unsubscribe","id"}
 *   server  {"type":"error","id"?,"code","detail"}
 *   server  {"type":"status","flowing":false,"sinceMs","detail"}       nothing new can be told
 *   server  {"type":"status","flowing":true}                           news come again
 *
 * readings: every step forward of a series in event time; a late sample is history, not news.
 * rollups: the newest state of each window, corrections of old windows too; of two states of one
 * window the higher version is right. Without a resolution both are sent.
 *
 * A client that reads slowly gets the newest state of each series instead of every step, and, if
 * too many wait, a new snapshot. Any snapshot may be followed by a better one (the database
 * answered late): it replaces what was known, and whoever draws history asks for the span again.
 * A snapshot larger than a frame continues in updates. `cursor` stands for a place in the log: it
 * grows with every record that was read.
 *
 * Without a status the feed flows. It stands still when nothing at all comes from the log, not even
 * the ticks of a silent fleet: said to every open socket when it begins (`sinceMs`: the time of the
 * last record) and when it ends, and after hello while it lasts. Nothing is lost by it. More types
 * of messages may be added: a client ignores those that it does not know.
 *
 * Closed with 1001 when the process ends (connect again), 1008 after an error without an id, 1009
 * after a message over the limit, 1013 when the key cannot be checked now (try again).
 */
import type { LatestValue, Rollup } from './resources.ts'

export type LiveStream = 'readings' | 'rollups' | 'alerts'

export type ClientMessage =
  | { type: 'hello'; key: string }
  | {
      type: 'subscribe'
      id: string
      stream: LiveStream
      devices?: string[]
      metrics?: string[]
      resolution?: '10s' | '1m'
    }
  | { type: 'unsubscribe'; id: string }

export type ServerMessage =
  | { type: 'hello' }
  | { type: 'snapshot'; id: string; cursor: string; items: LiveItem[] }
  | { type: 'update'; id: string; cursor: string; items: LiveItem[] }
  | { type: 'error'; id?: string; code: string; detail: string }
  | ({ type: 'status' } & LiveStatus)

export type LiveStatus =
  | { flowing: true }
  /** sinceMs: when the last record was appended. detail: why it stands, as a part of a sentence. */
  | { flowing: false; sinceMs: number; detail: string }

export type ReadingItem = { device: string; metric: string } & LatestValue
export type RollupItem = { device: string; metric: string; resolution: '10s' | '1m' } & Rollup
export type LiveItem = ReadingItem | RollupItem
