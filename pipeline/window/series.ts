/** One series as a partition knows it: its name, its id, and a number of its own there. */
import type { SeriesKind } from '../../schemas/window-update.ts'
import { type SeriesId, seriesIdOf } from './series-id.ts'

/** What a stored row needs to know of its series. */
export type SeriesRef = Readonly<{ tenant: string; id: SeriesId }>

export class Series implements SeriesRef {
  readonly tenant: string
  readonly device: string
  readonly metric: string
  readonly kind: SeriesKind
  readonly id: SeriesId
  /** Place in the columns of its partition. */
  readonly number: number
  /** Whether a snapshot took this series for the series table. */
  announced = false

  // oxlint-disable-next-line max-params -- the four parts of its name, its place, and whose ids
  constructor(
    tenant: string,
    device: string,
    metric: string,
    kind: SeriesKind,
    number = 0,
    salt = '',
  ) {
    this.tenant = tenant
    this.device = device
    this.metric = metric
    this.kind = kind
    this.number = number
    this.id = seriesIdOf(this, salt)
  }
}
