/** Faults of servers: Kafka, ClickHouse, Postgres, the registry. */
import { setTimeout as sleep } from 'node:timers/promises'
import { queryRows } from '../../../loadtest/clickhouse-query.ts'
import { leaderOf, moveLeader, withKafkajsAdmin } from './acknowledged-loss.ts'
import { API, type Passage } from './kafka-proxy.ts'
import type { Fault, RoundContext } from './round.ts'
import type { StatementAnswer } from './clickhouse-proxy.ts'

const DOWN_MS = 10_000
const BELOW_MIN_ISR_MS = 20_000
const DROP_MS = 4_000

async function brokerKilled({ system }: RoundContext): Promise<void> {
  const [broker] = system.kafka.brokers
  const again = broker?.ready()
  broker?.signal('SIGKILL')
  await again
}

async function brokersInTurn({ system, acknowledgedMore }: RoundContext): Promise<void> {
  for (const broker of system.kafka.brokers) {
    const again = broker.ready()
    broker.signal('SIGTERM')
    await again
    await acknowledgedMore(40)
  }
}

async function belowMinIsr(context: RoundContext): Promise<void> {
  const { system, random, fleet } = context
  const spared = random.integer(3)
  const killed = system.kafka.brokers.filter((_, index) => index !== spared)
  await Promise.all(killed.map((broker) => broker.killForGood()))
  await sleep(1_000) // Answers that were under way.
  const before = fleet.acknowledged
  await sleep(BELOW_MIN_ISR_MS)
  const during = fleet.acknowledged - before
  if (during > 0) context.fault(`${during} PUBACKs below the least in-sync replicas`)
  await Promise.all(killed.map((broker) => broker.start()))
}

async function leaderMoves({ system, random, acknowledgedMore }: RoundContext): Promise<void> {
  const topic = `${system.namespace}telemetry.v1`
  for (let n = 0; n < 5; n++) {
    const partition = random.integer(4)
    const leader = await withKafkajsAdmin(system.kafka, (a) => leaderOf(a, topic, partition))
    const others = [1, 2, 3].filter((broker) => broker !== leader)
    const [to = 1, beside = 2] = shuffled(others, random.next)
    await moveLeader(system.kafka, topic, { partition, to, beside })
    await acknowledgedMore(20)
    await sleep(1_000)
  }
  await withKafkajsAdmin(system.kafka, (admin) =>
    admin.alterPartitionReassignments({
      topics: [
        {
          topic,
          partitionAssignment: [0, 1, 2, 3].map((partition) => ({
            partition,
            replicas: shuffled([1, 2, 3], random.next),
          })),
        },
      ],
    }),
  )
}

function shuffled(values: readonly number[], next: () => number): number[] {
  return values
    .map((value) => ({ value, at: next() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ value }) => value)
}

/** The broker has the records, the producer never hears of it. */
async function produceAnswersDropped({ system, note }: RoundContext): Promise<void> {
  let dropped = 0
  const remove = system.kafka.edge.add({
    response({ apiKey }): Passage {
      if (apiKey !== API.produce) return 'pass'
      dropped += 1
      return 'drop'
    },
  })
  await sleep(DROP_MS)
  remove()
  note(`${dropped} answers dropped`)
}

/** The same, and the connection breaks with it. */
async function produceAnswersCut({ system, random }: RoundContext): Promise<void> {
  const remove = system.kafka.edge.add({
    response: ({ apiKey }): Passage =>
      apiKey === API.produce && random.chance(0.3) ? 'cut' : 'pass',
  })
  await sleep(DROP_MS)
  remove()
}

/** Frames wait 200 ms, give or take 100, in both directions. */
async function slowNetwork({ system, random }: RoundContext): Promise<void> {
  const slowly = async (): Promise<Passage> => {
    await sleep(random.between(100, 300))
    return 'pass'
  }
  const removes = [system.kafka.edge, system.kafka.river].map((rules) =>
    rules.add({ request: slowly, response: slowly }),
  )
  await sleep(DOWN_MS)
  for (const remove of removes) remove()
}

async function clickhouseDown(context: RoundContext): Promise<void> {
  const { system, acknowledgedMore } = context
  await system.clickhouse.killForGood()
  await acknowledgedMore(400) // Devices feel nothing.
  await sleep(DOWN_MS / 2)
  await system.clickhouse.start()
}

async function clickhouseKilledAmid({ system }: RoundContext): Promise<void> {
  let strike: () => void = () => {}
  const struck = new Promise<void>((resolve) => (strike = resolve))
  const remove = system.clickhouseProxy.add({
    amid({ text }) {
      if (!/INSERT INTO/.test(text)) return 'pass'
      system.clickhouse.signal('SIGKILL')
      strike()
      return 'cut'
    },
  })
  const again = system.clickhouse.ready()
  await struck
  remove()
  await again
}

const refusing =
  (when: 'before' | 'after', answer: StatementAnswer) =>
  async ({ system, note }: RoundContext): Promise<void> => {
    let refused = 0
    const remove = system.clickhouseProxy.add({
      [when]: ({ text }: Readonly<{ text: string }>) => {
        if (!/INSERT INTO/.test(text)) return 'pass'
        refused += 1
        return answer
      },
    })
    await sleep(DOWN_MS / 2)
    remove()
    note(`${refused} inserts refused`)
  }

/** The table's own limit, with merges stopped: the server refuses, not the proxy. */
async function tooManyParts({ system, acknowledgedMore }: RoundContext): Promise<void> {
  const place = system.clickhousePlace
  const run = (sql: string) => queryRows(place, { sql })
  await run('SYSTEM STOP MERGES samples')
  await run(
    'ALTER TABLE samples MODIFY SETTING parts_to_throw_insert = 1, parts_to_delay_insert = 1',
  )
  await acknowledgedMore(300)
  await sleep(DOWN_MS / 2)
  await run('ALTER TABLE samples RESET SETTING parts_to_throw_insert, parts_to_delay_insert')
  await run('SYSTEM START MERGES samples')
}

async function postgresDown({ system, acknowledgedMore }: RoundContext): Promise<void> {
  system.postgresGate.shut()
  await acknowledgedMore(400)
  await sleep(2_000)
  await acknowledgedMore(100)
  system.postgresGate.open()
}

async function registryDown({ system, acknowledgedMore }: RoundContext): Promise<void> {
  system.registryGate.shut()
  await acknowledgedMore(200)
  for (const unit of [system.connectors, system.pipeline]) {
    const again = unit.ready()
    unit.signal('SIGKILL')
    await again
  }
  await acknowledgedMore(200)
  system.registryGate.open()
}

const AFTER_COMMIT = { status: 500, code: 209, message: 'Timeout exceeded (SOCKET_TIMEOUT)' }
const READ_ONLY = {
  status: 500,
  code: 242,
  message: 'Table is in readonly mode (TABLE_IS_READ_ONLY)',
}

export const SERVER_FAULTS: readonly Fault[] = [
  { name: 'broker killed', number: '6', on: 'one', play: brokerKilled },
  { name: 'brokers restarted in turn', number: '6', on: 'three', play: brokersInTurn },
  { name: 'kill -9 of 2 brokers of 3', number: '7', on: 'three', play: belowMinIsr },
  { name: 'leader moves', number: '8', on: 'three', play: leaderMoves },
  { name: 'produce responses dropped', number: '9', on: 'one', play: produceAnswersDropped },
  { name: 'produce responses cut', number: '9', on: 'one', play: produceAnswersCut },
  { name: 'slow network', number: '11', on: 'one', play: slowNetwork },
  { name: 'ClickHouse down', number: '12', on: 'one', play: clickhouseDown },
  { name: 'ClickHouse killed mid insert', number: '12', on: 'one', play: clickhouseKilledAmid },
  {
    name: 'ClickHouse 500 after commit',
    number: '12',
    on: 'one',
    play: refusing('after', AFTER_COMMIT),
  },
  { name: 'ClickHouse read-only', number: '12', on: 'one', play: refusing('before', READ_ONLY) },
  { name: 'ClickHouse too many parts', number: '12', on: 'one', play: tooManyParts },
  { name: 'Postgres down', number: '14', on: 'one', play: postgresDown },
  { name: 'registry down at run time and at start', number: '14', on: 'one', play: registryDown },
]
