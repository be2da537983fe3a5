/**
 * The program that becomes a ClickHouse server: it calls the command line entry of libchdb, the
 * whole ClickHouse as a library, with a query that opens the listeners and then sleeps for ever.
 * The call never returns, so it needs a process of its own.
 *
 *   node clickhouse-child.js <library> <data folder> <host> <http port> <tcp port>
 */
import { DataType, load, open } from 'ffi-rs'

function main(): void {
  const [library, dataDir, host, httpPort, tcpPort] = process.argv.slice(2)
  if (library === undefined || tcpPort === undefined) {
    process.stderr.write('usage: clickhouse-child LIBRARY DATA_FOLDER HOST HTTP_PORT TCP_PORT\n')
    process.exitCode = 2
    return
  }
  const argv = [
    'clickhouse',
    `--path=${dataDir}`,
    `--http_port=${httpPort}`,
    `--tcp_port=${tcpPort}`,
    `--listen_host=${host}`,
    '--query',
    `SYSTEM START LISTEN HTTP; SYSTEM START LISTEN TCP;
     SELECT sleepEachRow(1) FROM numbers(1000000000)
     SETTINGS max_execution_time = 0, function_sleep_max_microseconds_per_block = 0,
       max_block_size = 1 FORMAT Null`,
  ]
  open({ library: 'chdb', path: library })
  process.exitCode = load({
    library: 'chdb',
    funcName: 'chdb_query_cmdline',
    retType: DataType.I32,
    paramsType: [DataType.I32, DataType.StringArray],
    paramsValue: [argv.length, argv],
  })
}

main()
