/** Which resolutions there are, which tables answer them, and which one fits a span. */
import { RESOLUTIONS, type Resolution, type StoredResolution } from '../contract/resources.ts'

const MS: Readonly<Record<Resolution, number>> = {
  '10s': 10_000,
  '1m': 60_000,
  '15m': 900_000,
  '1h': 3_600_000,
  '6h': 21_600_000,
  '1d': 86_400_000,
}

export const resolutionMs = (resolution: Resolution): number => MS[resolution]

export type RollupTable = Readonly<{ table: string; rowMs: number }>

const tableOf = (resolution: StoredResolution): RollupTable => ({
  table: `rollup_${resolution}`,
  rowMs: MS[resolution],
})

/** The table whose rows are the windows of a resolution. */
export const storedIn = (resolution: StoredResolution): RollupTable => tableOf(resolution)

/**
 * The tables whose rows make up the windows of a resolution, coarsest first. An hour or a day is
 * stored when it has ended: what a table does not have yet is made of rows of the next one.
 */
export function sourcesOf(resolution: Resolution): readonly RollupTable[] {
  switch (resolution) {
    case '10s':
      return [tableOf('10s')]
    case '1m':
    case '15m':
      return [tableOf('1m')]
    case '1h':
    case '6h':
      return [tableOf('1h'), tableOf('1m')]
    case '1d':
      return [tableOf('1d'), tableOf('1h'), tableOf('1m')]
  }
}

/**
 * The finest resolution with at most `pointsMax` windows in the span, among those that are kept for
 * long enough; the coarsest if none is.
 */
export function finestFor(
  spanMs: number,
  pointsMax: number,
  isKept: (resolution: Resolution) => boolean,
): Resolution {
  const fits = (resolution: Resolution): boolean => spanMs / MS[resolution] <= pointsMax
  return RESOLUTIONS.find((resolution) => fits(resolution) && isKept(resolution)) ?? '1d'
}

export const resolutionNamed = (text: string): Resolution | undefined =>
  RESOLUTIONS.find((resolution) => resolution === text)
