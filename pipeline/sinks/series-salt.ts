/**
 * The salt of the deployment's series ids (pipeline/window/series-id.ts): made once, by the
 * migrations, and kept beside the rows whose ids hold it.
 */
import type { Clickhouse } from '../../platform/clickhouse/clickhouse.ts'
import { Failure } from '../../platform/failure.ts'

/** Empty in a deployment that is older than the salt. Rejects where there is none yet, or two. */
export async function readSeriesSalt(clickhouse: Pick<Clickhouse, 'select'>): Promise<string> {
  const rows = await clickhouse.select<{ salt: string }>('SELECT DISTINCT salt FROM series_salt')
  const [row] = rows
  if (row === undefined) throw new Failure('unavailable', 'the table series_salt is empty as yet')
  if (rows.length === 1) return row.salt
  const text = `the table series_salt has ${rows.length} salts: leave the one that the ids of the table series were made with`
  throw new Failure('internal', text)
}
