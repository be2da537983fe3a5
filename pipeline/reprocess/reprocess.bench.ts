/**
 * How long `weir reprocess` takes beside a pipeline that flushes: a week of samples, every window
 * read and compared, none of them wrong. Arguments: thousands of samples, devices, partitions.
 *
 *   WEIR_TEST_STACK=… node .build/…/pipeline/reprocess/reprocess.bench.js 1000 60 12
 */
import { systemClock } from '../../platform/clock.ts'
import { operator } from '../operator/testing/operator.ts'
import { emptyRecord } from '../testing/fold-log.ts'
import { deploy } from '../testing/stack-deployment.ts'

const DAY_MS = 86_400_000
const SAMPLES_PER_RECORD = 200
const LIVE_MS = 100

const [thousands = 1_000, devices = 60, partitions = 12] = process.argv.slice(2).map(Number)
const perDevice = Math.floor((thousands * 1_000) / devices)
const nowMs = systemClock.nowMs()
const stepMs = Math.floor((7 * DAY_MS) / perDevice)

const deployment = await deploy(partitions, { latenessMs: '1000' })
const pipeline = await deployment.start()
const seconds = (sinceMs: number) => ((systemClock.monotonicMs() - sinceMs) / 1_000).toFixed(1)
try {
  let startedMs = systemClock.monotonicMs()
  for (let from = 0; from < perDevice; from += SAMPLES_PER_RECORD) {
    const count = Math.min(SAMPLES_PER_RECORD, perDevice - from)
    const dt = Array.from({ length: count }, (_, n) => n * stepMs)
    const sent = Array.from({ length: devices }, (_, device) => {
      const record = emptyRecord(`d${device}`, systemClock.nowMs())
      const t0 = nowMs - 7 * DAY_MS + 60_000 + from * stepMs
      record.numbers.push({ metric: 'm', t0, dt, v: dt.map((ms) => Math.sin(ms + device)) })
      return deployment.send(record)
    })
    await Promise.all(sent)
  }
  await Promise.race([deployment.settled(), pipeline.failure])
  process.stdout.write(`loaded in ${seconds(startedMs)} s\n`)
  let value = 0
  const live = setInterval(() => {
    for (let device = 0; device < devices; device += 1) {
      const record = emptyRecord(`d${device}`, systemClock.nowMs())
      const t0 = systemClock.nowMs()
      record.numbers.push({ metric: 'm', t0, dt: [0], v: [(value += 1)] })
      void deployment.send(record)
    }
  }, LIVE_MS)
  startedMs = systemClock.monotonicMs()
  const done = await operator(deployment, ['reprocess', '--from', String(nowMs - 7 * DAY_MS)])
  clearInterval(live)
  process.stdout.write(`${done.text}reprocessed in ${seconds(startedMs)} s\n`)
} finally {
  await pipeline.stop()
  await deployment.close()
}
