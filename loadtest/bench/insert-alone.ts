/** What raw rows cost to write, both sides, when nothing else is done. */
import { join } from 'node:path'
import { startProgram } from '../child-program.ts'
import { median } from '../report.ts'
import { type BenchSpace, withOtherTables } from './bench-space.ts'
import { CpuMeter, type Servers } from './measured-round.ts'
import { mergesEnded } from './stored-sums.ts'

/** CPU seconds per million rows. */
export type InsertCost = Readonly<{ client: number; server: number; merges: number }>

const PROGRAM = join(import.meta.dirname, '../../pipeline/insert-rows.bench.js')

export function insertAlone(
  space: BenchSpace,
  servers: Servers,
  rows: number,
): Promise<InsertCost> {
  return withOtherTables(space, 'insert', async ({ clickhouse, envOf }) => {
    const args = [PROGRAM, clickhouse.url, clickhouse.database, String(rows)]
    const writer = startProgram(args, envOf())
    try {
      await writer.ready
      const meter = new CpuMeter(servers)
      const done = await writer.says('done')
      await mergesEnded(clickhouse)
      const seconds = meter.finishAll()
      // `as`: the program is of this very build.
      const { rows, cpuS } = done as { rows: number; cpuS: number }
      const perMillion = (value = Number.NaN): number => (value / rows) * 1e6
      return {
        client: perMillion(cpuS),
        server: perMillion(seconds.get('clickhouse')),
        merges: perMillion(seconds.get('clickhouse merges')),
      }
    } finally {
      await writer.end()
    }
  })
}

export function medianCost(costs: readonly InsertCost[]): InsertCost | undefined {
  if (costs.length === 0) return undefined
  const of = (field: keyof InsertCost): number => median(costs.map((cost) => cost[field]))
  return { client: of('client'), server: of('server'), merges: of('merges') }
}
