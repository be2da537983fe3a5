/**
 * One thing that happened, as the live feed passes it around: to whom it belongs, what it replaces,
 * and its JSON, made once however many sockets it goes to.
 */
import type { WindowUpdate, Window } from '../../schemas/window-update.ts'
import type { ReadingItem, RollupItem } from '../contract/live.ts'
import type { Value } from '../contract/resources.ts'
import { rollupOf } from '../readings/rollup-item.ts'

export type FeedStream = 'readings' | 'rollups'

const ITEM_BYTES = 256

export class FeedItem {
  readonly device: string
  readonly metric: string
  /** Items of one key replace each other. */
  readonly key: string
  /** Of two items of one key the one with the higher order is right. */
  readonly order: number
  readonly body: ReadingItem | RollupItem
  #json: string | undefined

  constructor(key: string, order: number, body: ReadingItem | RollupItem) {
    this.device = body.device
    this.metric = body.metric
    this.key = key
    this.order = order
    this.body = body
  }

  /** About what the item costs in memory, and at least what it costs on the wire. */
  get bytes(): number {
    const texts =
      'at' in this.body
        ? lengthOf(this.body.value)
        : lengthOf(this.body.first) + lengthOf(this.body.last)
    return ITEM_BYTES + this.key.length + 2 * texts
  }

  get json(): string {
    this.#json ??= JSON.stringify(this.body)
    return this.#json
  }
}

const lengthOf = (value: Value): number => (typeof value === 'string' ? value.length : 0)

/** U+0000 separates: neither ids nor metrics contain it. */
export const readingItem = (body: ReadingItem): FeedItem =>
  new FeedItem(`${body.device}\0${body.metric}`, body.at, body)

/** undefined for a resolution that the live feed does not carry. */
export function rollupItem(update: WindowUpdate, window: Window): FeedItem | undefined {
  const resolution = liveResolution(window.resolutionMs)
  if (resolution === undefined) return undefined
  const { device } = update
  const { metric, start, version } = window
  const rollup = rollupOf(window.kind, window, {
    startMs: start,
    sampledMs: window.lastTs - window.firstTs,
    final: window.final,
    correctedAtMs: window.correctedAt,
    version,
  })
  const key = `${device}\0${metric}\0${resolution}\0${start}`
  return new FeedItem(key, version, { device, metric, resolution, ...rollup })
}

function liveResolution(resolutionMs: number): '10s' | '1m' | undefined {
  if (resolutionMs === 10_000) return '10s'
  return resolutionMs === 60_000 ? '1m' : undefined
}
