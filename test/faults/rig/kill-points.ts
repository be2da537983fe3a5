/**
 * SIGKILL at named points of the pipeline and of the connector. The proxies see what the process
 * asks of its servers: the point is reached when the Nth such request is about to pass, is half
 * through, or is answered, and the process dies before the proxy lets anything go on. No line of
 * the killed program knows of it.
 *
 *   mid decode          a seeded moment within 25 ms of a delivered fetch response
 *   mid accumulator     while answers of Kafka are held back, so that batches stand in the lanes
 *   after recompute     the answer to the first rollup insert that follows a reading of raw rows
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { API, type KafkaRequest, type Passage, producedTopic } from './kafka-proxy.ts'
import type { Statement } from './clickhouse-proxy.ts'
import type { Fault, RoundContext } from './round.ts'
import type { Unit } from './unit.ts'

/** A fetch response with less is empty: headers only. */
const FETCHED_BYTES_MIN = 400
const REACHED_LIMIT_MS = 45_000
const DECODE_MS_MAX = 25
const ACCUMULATE_MS = 400

type Reached = () => void
/** Sets the trap; `reached` kills. Gives what takes the trap away. */
type Trap = (context: RoundContext, reached: Reached) => () => void

const into = ({ text }: Statement, table: string): boolean =>
  new RegExp(`INSERT INTO \`?${table}\`?\\b`).test(text)
const readsRaw = ({ text }: Statement): boolean => /SELECT[^]*FROM\s+samples\b/.test(text)
const intoRollup = (statement: Statement): boolean =>
  into(statement, 'rollup_10s') || into(statement, 'rollup_1m')

/** The trap springs once, at the nth time: rounds differ in how far into a flush they strike. */
function nth(context: RoundContext, reached: Reached): () => boolean {
  let left = 1 + context.random.integer(4)
  return () => {
    left -= 1
    if (left !== 0) return false
    reached()
    return true
  }
}

const onStatement =
  (when: 'before' | 'amid' | 'after', matches: (statement: Statement) => boolean): Trap =>
  (context, reached) => {
    const strike = nth(context, reached)
    return context.system.clickhouseProxy.add({
      [when]: (statement: Statement) => (matches(statement) && strike() ? 'cut' : 'pass'),
    })
  }

const onKafka =
  (
    side: 'edge' | 'river',
    when: 'request' | 'response',
    matches: (request: KafkaRequest, context: RoundContext) => boolean,
  ): Trap =>
  (context, reached) => {
    const strike = nth(context, reached)
    const judge = (request: KafkaRequest): Passage =>
      matches(request, context) && strike() ? 'cut' : 'pass'
    return context.system.kafka[side].add({ [when]: judge })
  }

const onFetched =
  (after: 'at once' | 'while decoding'): Trap =>
  (context, reached) => {
    let struck = false
    const strike = nth(context, () => {
      struck = true
    })
    return context.system.kafka.river.add({
      response({ apiKey }, response) {
        if (struck || apiKey !== API.fetch || response.length < FETCHED_BYTES_MIN) return 'pass'
        if (!strike()) return 'pass'
        const delayMs = after === 'at once' ? 0 : context.random.between(0, DECODE_MS_MAX)
        // The response passes; the process dies when it has it.
        setTimeout(reached, delayMs)
        return 'pass'
      },
    })
  }

/** Late rows are read back, folded, and written: the write that follows the reading. */
const afterRecompute: Trap = (context, reached) => {
  let reading = false
  return context.system.clickhouseProxy.add({
    before(statement) {
      if (readsRaw(statement)) reading = true
      return 'pass'
    },
    after(statement) {
      if (!reading || !intoRollup(statement)) return 'pass'
      reading = false
      reached()
      return 'cut'
    },
  })
}

const telemetryProduce = (request: KafkaRequest, { system }: RoundContext): boolean =>
  request.apiKey === API.produce && producedTopic(request) === `${system.namespace}telemetry.v1`

/** While Kafka's answers are held back the connector gathers what devices send. */
const midAccumulator: Trap = (context, reached) => {
  let held = false
  const release = new AbortController()
  const remove = context.system.kafka.edge.add({
    async response(request): Promise<Passage> {
      if (!telemetryProduce(request, context) || release.signal.aborted) return 'pass'
      if (held) return 'drop'
      held = true
      await sleep(ACCUMULATE_MS)
      reached()
      return 'cut'
    },
  })
  return () => {
    release.abort()
    remove()
  }
}

type Point = Readonly<{
  name: string
  number: '1' | '2'
  of: 'pipeline' | 'connectors'
  trap: Trap
}>

const POINTS: readonly Point[] = [
  pipeline('after fetch', onFetched('at once')),
  pipeline('mid decode', onFetched('while decoding')),
  pipeline(
    'before raw insert',
    onStatement('before', (s) => into(s, 'samples')),
  ),
  pipeline(
    'mid raw insert',
    onStatement('amid', (s) => into(s, 'samples')),
  ),
  pipeline(
    'after raw insert',
    onStatement('after', (s) => into(s, 'samples')),
  ),
  pipeline(
    'mid rollup insert',
    onStatement('amid', (s) => into(s, 'rollup_1m')),
  ),
  pipeline(
    'after rollup insert',
    onStatement('after', (s) => into(s, 'rollup_1m')),
  ),
  pipeline('before recompute', onStatement('before', readsRaw)),
  pipeline('after recompute', afterRecompute),
  pipeline(
    'after cascade',
    onStatement('after', (s) => into(s, 'rollup_1d') || into(s, 'rollup_1h')),
  ),
  pipeline(
    'before commit',
    onKafka('river', 'request', ({ apiKey }) => apiKey === API.offsetCommit),
  ),
  pipeline(
    'after commit',
    onKafka('river', 'response', ({ apiKey }) => apiKey === API.offsetCommit),
  ),
  connector('before produce', onKafka('edge', 'request', telemetryProduce)),
  connector('after produce, before PUBACK', onKafka('edge', 'response', telemetryProduce)),
  connector('mid accumulator', midAccumulator),
]

function pipeline(name: string, trap: Trap): Point {
  return { name: `kill pipeline ${name}`, number: '1', of: 'pipeline', trap }
}

function connector(name: string, trap: Trap): Point {
  return { name: `kill connector ${name}`, number: '2', of: 'connectors', trap }
}

export const KILL_POINTS: readonly Fault[] = POINTS.map(({ name, number, of, trap }) => ({
  name,
  number,
  on: 'one',
  async play(context) {
    const unit: Unit = context.system[of]
    let again: Promise<void> | undefined
    let strike: () => void = () => {}
    const reached = new Promise<boolean>((resolve) => {
      strike = () => resolve(true)
      setTimeout(() => resolve(false), REACHED_LIMIT_MS).unref()
    })
    const remove = trap(context, () => {
      again ??= unit.ready()
      unit.signal('SIGKILL')
      strike()
    })
    const was = await reached
    remove()
    if (!was) context.fault('the point was never reached')
    await again
  },
}))
