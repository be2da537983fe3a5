/** Work on many things, a few of them at one time; the only importer of p-limit. */
import pLimit from 'p-limit'

/** Resolves when all is done. Rejects with the first failure; what is under way then goes on. */
export async function forEachLimited<T>(
  concurrencyMax: number,
  items: Iterable<T>,
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  await pLimit(concurrencyMax).map(items, work)
}

/** Runs what it is given at once or later: never more than so many at one time, in their order. */
export function concurrencyLimit(
  concurrencyMax: number,
): <T>(work: () => Promise<T>) => Promise<T> {
  const limit = pLimit(concurrencyMax)
  return (work) => limit(work)
}
