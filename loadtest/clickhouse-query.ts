/**
 * Asks ClickHouse over its plain HTTP interface: neither the driver nor the api of the system
 * under test stands between us and what is stored.
 */
import { Failure } from '../platform/failure.ts'

export type ClickHousePlace = Readonly<{ url: string; database: string }>
export type QueryRow = readonly (string | number)[]
/** `parameters` fill {name:Type} in the text. */
export type Query = Readonly<{ sql: string; parameters?: Readonly<Record<string, string>> }>

/** Rows of scalars. Integers of 64 bits come as text. */
export async function queryRows(place: ClickHousePlace, query: Query): Promise<QueryRow[]> {
  const body = await queryText(place, query)
  // The format is one JSON array of scalars a line.
  return body
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as QueryRow)
}

/** The answer as ClickHouse writes it: in the format that the query names, or as above. */
export async function queryText(place: ClickHousePlace, query: Query): Promise<string> {
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
  return body
}
