/**
 * Asks ClickHouse over its plain HTTP interface: neither the driver nor the api of the system
 * under test stands between us and what is stored.
 */
import { Failure } from '../platform/failure.ts'

export type ClickHousePlace = Readonly<{ url: string; database: string }>
export type QueryRow = readonly (string | number)[]

/** Rows of scalars. Integers of 64 bits come as text. `parameters` fill {name:Type} in the query. */
export async function queryRows(
  place: ClickHousePlace,
  query: Readonly<{ sql: string; parameters?: Readonly<Record<string, string>> }>,
): Promise<QueryRow[]> {
  const url = new URL(place.url)
  const [user, password] = [decodeURIComponent(url.username), decodeURIComponent(url.password)]
  url.username = ''
  url.password = ''
  const parameters = Object.entries(query.parameters ?? {})
  url.search = new URLSearchParams({
    ...Object.fromEntries(parameters.map(([name, value]) => [`param_${name}`, value])),
    database: place.database,
    default_format: 'JSONCompactEachRow',
    output_format_json_quote_denormals: '1',
    output_format_json_quote_64bit_integers: '1',
    do_not_merge_across_partitions_select_final: '1',
  }).toString()
  const headers = user === '' ? {} : { 'x-clickhouse-user': user, 'x-clickhouse-key': password }
  const response = await fetch(url, { method: 'POST', body: query.sql, headers }).catch(
    (cause: unknown) => {
      throw new Failure('unavailable', `ClickHouse does not answer at ${url.origin}`, { cause })
    },
  )
  const body = await response.text()
  if (!response.ok) {
    throw new Failure('unavailable', `ClickHouse refused a query: ${body.slice(0, 500)}`)
  }
  // The format is one JSON array of scalars a line.
  return body
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as QueryRow)
}
