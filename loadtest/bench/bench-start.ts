/**
 * `bench start`: from `npm start`, with everything downloaded and built, to the first reading of a
 * demo device in the live feed. Data folders are fresh each round, so databases are created too.
 */
import { EXIT } from '../../platform/lifecycle/exit-codes.ts'
import { commandWithOptions } from '../../platform/lifecycle/command-with-options.ts'
import { openLive } from '../live-client.ts'
import { ProgressLine } from '../progress-line.ts'
import { median, printJson, printTable } from '../report.ts'
import { partOf, readStackFile } from '../stack-file.ts'
import { BENCH_OPTIONS } from './bench-options.ts'
import { startOwnStack } from '../own-stack.ts'

const { rounds, serversDir, json } = BENCH_OPTIONS
const OPTIONS = { rounds, serversDir, json } as const

const FIRST_READING_S_MAX = 30

export const benchStartCommand = commandWithOptions({
  name: 'bench start',
  summary: 'seconds from npm start to the first reading in the live feed',
  options: OPTIONS,
  async run({ rounds, serversDir, json }, env) {
    const progress = new ProgressLine()
    const readyS: number[] = []
    const firstReadingS: number[] = []
    for (let index = 0; index < rounds; index++) {
      progress.show(() => `bench start: round ${index + 1} of ${rounds}`)
      const startMs = performance.now()
      const own = await startOwnStack({ serversDir, env }, [])
      readyS.push((performance.now() - startMs) / 1000)
      try {
        await firstReading(own.stackPath)
        firstReadingS.push((performance.now() - startMs) / 1000)
      } finally {
        await own.end()
      }
    }
    progress.stop()
    const result = { readyS: median(readyS), firstReadingS: median(firstReadingS) }
    printTable([
      ['from npm start', 'seconds'],
      ['everything ready', result.readyS],
      ['first reading in the live feed', result.firstReadingS],
    ])
    const ok = result.firstReadingS < FIRST_READING_S_MAX
    if (json) printJson({ command: 'bench start', ok, ...result })
    return ok ? EXIT.ok : EXIT.failed
  },
})

async function firstReading(stackPath: string): Promise<void> {
  const api = partOf(readStackFile(stackPath), 'api')
  let close: () => Promise<void> = async () => {}
  await new Promise<void>((resolve, reject) => {
    openLive(api, {
      stream: 'readings',
      devices: ['*'],
      metrics: ['*'],
      onItems: (items) => items.length > 0 && resolve(),
    }).then((closeLive) => (close = closeLive), reject)
  })
  await close()
}
