/**
 * The only file that talks to ClickHouse, over its HTTP interface.
 *
 * Inserts are synchronous and answered when the parts are written (async_insert is on by default
 * in recent servers, and would acknowledge rows that are in memory only). Deduplication of insert
 * blocks is off: it silently drops a block whose token it has seen, and our rows are repeatable by
 * design. What a response brings is always read to its end, or keep-alive connections break.
 */
import { Readable } from 'node:stream'
import {
  type ClickHouseClient,
  ClickHouseError,
  ClickHouseLogLevel,
  createClient,
} from '@clickhouse/client'
import { ClickhouseError } from './clickhouse-error.ts'
import { type NativeColumns, readNative } from './native-reader.ts'
import type { NativeBlock } from './native-writer.ts'

export type ClickhouseOptions = Readonly<{
  url: string
  /** Must exist, except for command() with statements that name their database. */
  database: string
  user: string
  password: string
  /** A request without an answer is given up after this; default 60 s. */
  requestTimeoutMs?: number
  connectionsMax?: number
}>

export type QueryParameters = Readonly<Record<string, unknown>>
export type Settings = Readonly<Record<string, string | number | boolean>>
export type CallOptions = Readonly<{ settings?: Settings; signal?: AbortSignal }>

export type NativeInsert = Readonly<{
  table: string
  /** All with the same columns; together they are one INSERT. */
  blocks: readonly NativeBlock[]
  settings?: Settings
  signal?: AbortSignal
}>

export type NativeCallOptions = CallOptions &
  Readonly<{
    /** The next block is read when this has resolved; what it throws is what the call rejects with. */
    onBlock: (block: NativeColumns) => void | Promise<void>
  }>

const INSERT_SETTINGS = {
  async_insert: 0,
  insert_deduplicate: 0,
  wait_end_of_query: 1,
  // Rows of one key are merged in the background and by FINAL, which has to do it across inserts
  // anyway. Merging within each insert as well costs the server as much again as all else it does.
  optimize_on_insert: 0,
  // A backlog over more days than the default allows would be refused for ever.
  max_partitions_per_insert_block: '10000',
} as const

const SELECT_SETTINGS = {
  // Sixty-four bits do not fit a JSON number.
  output_format_json_quote_64bit_integers: 1,
  // Every partition key here is a function of the sort key, so FINAL need not compare days.
  do_not_merge_across_partitions_select_final: 1,
} as const

/** Below the 3 s (older: 2.5 s) after which servers close idle connections. */
const IDLE_SOCKET_MS = 1_500

/** Every method rejects with a ClickhouseError; see there for which may be tried again. */
export class Clickhouse {
  readonly database: string
  readonly #client: ClickHouseClient

  constructor(options: ClickhouseOptions) {
    this.database = options.database
    this.#client = createClient({
      url: options.url,
      database: options.database,
      username: options.user,
      password: options.password,
      request_timeout: options.requestTimeoutMs ?? 60_000,
      max_open_connections: options.connectionsMax ?? 10,
      keep_alive: { enabled: true, idle_socket_ttl: IDLE_SOCKET_MS },
      application: 'weir',
      // Failures reach the caller as errors; a second report on the console helps nobody.
      log: { level: ClickHouseLogLevel.OFF },
    })
  }

  /**
   * All rows of a SELECT. Values enter only as parameters, `{name:Type}` in the text. UInt64 and
   * Int64 come as decimal text, NaN and infinities as null. `Row` is the caller's word for what
   * its own text selects; nothing checks it.
   */
  async select<Row>(text: string, parameters: QueryParameters = {}, call: CallOptions = {}) {
    const rows: Row[] = []
    for await (const chunk of this.selectChunks<Row>(text, parameters, call)) rows.push(...chunk)
    return rows
  }

  /** As select(), in chunks as they arrive: for results that need not fit in memory. */
  async *selectChunks<Row>(
    text: string,
    parameters: QueryParameters = {},
    call: CallOptions = {},
  ): AsyncGenerator<readonly Row[]> {
    try {
      const result = await this.#client.query({
        query: text,
        query_params: { ...parameters },
        format: 'JSONEachRow',
        clickhouse_settings: { ...SELECT_SETTINGS, ...call.settings },
        ...(call.signal === undefined ? {} : { abort_signal: call.signal }),
      })
      for await (const chunk of result.stream<Row>()) yield chunk.map((row) => row.json<Row>())
    } catch (error) {
      throw described('select', error)
    }
  }

  /** One INSERT of columns; resolves when ClickHouse has written them as parts. */
  async insertNative(insert: NativeInsert): Promise<void> {
    const blocks = insert.blocks.filter((block) => block.rows > 0)
    const columns = blocks[0]?.columns.map(quoted).join(', ')
    if (columns === undefined) return
    if (blocks.some((block) => block.columns.map(quoted).join(', ') !== columns)) {
      throw new TypeError(`blocks for ${insert.table} with different columns`)
    }
    await reporting(`insert into ${insert.table}`, async () => {
      const result = await this.#client.exec({
        query: `INSERT INTO ${quoted(insert.table)} (${columns}) FORMAT Native`,
        values: Readable.from(
          blocks.flatMap((block) => block.toBuffers()),
          { objectMode: false },
        ),
        clickhouse_settings: { ...INSERT_SETTINGS, ...insert.settings },
        ...(insert.signal === undefined ? {} : { abort_signal: insert.signal }),
      })
      await drained(result.stream)
    })
  }

  /** As select(), as typed arrays, block by block while they arrive. */
  async selectNative(
    text: string,
    parameters: QueryParameters,
    call: NativeCallOptions,
  ): Promise<void> {
    const { stream } = await reporting('select', () =>
      this.#client.exec({
        query: `${text}\nFORMAT Native`,
        query_params: { ...parameters },
        clickhouse_settings: { ...SELECT_SETTINGS, ...call.settings },
        ...(call.signal === undefined ? {} : { abort_signal: call.signal }),
      }),
    )
    await readNative(reported(stream), call.onBlock)
  }

  /** A statement without rows: DDL, SYSTEM, ALTER. Resolves when it is done. */
  async command(text: string, parameters: QueryParameters = {}, call: CallOptions = {}) {
    await reporting('command', async () => {
      const result = await this.#client.exec({
        query: text,
        query_params: { ...parameters },
        clickhouse_settings: { wait_end_of_query: 1, ...call.settings },
        ...(call.signal === undefined ? {} : { abort_signal: call.signal }),
      })
      await drained(result.stream)
    })
  }

  /** Rejects unless the server answers a query. */
  async ping(): Promise<void> {
    await this.select('SELECT 1 AS one')
  }

  /** Closes idle connections; call it once nothing is in flight. */
  close(): Promise<void> {
    return this.#client.close()
  }
}

/** An identifier for use in a statement. */
export function quoted(identifier: string): string {
  return `\`${identifier.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``
}

async function drained(stream: Readable): Promise<void> {
  stream.resume()
  for await (const _chunk of stream);
}

async function* reported(stream: Readable): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of stream) yield chunk
  } catch (error) {
    throw described('select', error)
  }
}

async function reporting<T>(what: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    throw described(what, error)
  }
}

function described(what: string, error: unknown): ClickhouseError {
  if (error instanceof ClickHouseError) {
    const message = `ClickHouse refused the ${what}: ${error.message}`
    return new ClickhouseError(message, Number(error.code), error)
  }
  const reason = error instanceof Error ? error.message : String(error)
  return new ClickhouseError(`ClickHouse did not answer the ${what}: ${reason}`, undefined, error)
}
