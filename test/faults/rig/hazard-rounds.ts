/** The acknowledged-loss hazards of kafkajs as lines of the table: stock kafkajs beside our writer. */
import { join } from 'node:path'
import { HAZARDS, type Hazard, ourWriter, type Sender, stockKafkajs } from './acknowledged-loss.ts'
import { KafkaCluster } from './kafka-cluster.ts'
import type { FaultLine } from './table.ts'

const SENDERS: readonly (readonly [string, Sender])[] = [
  ['our writer', ourWriter],
  ['stock kafkajs', stockKafkajs],
]
const NUMBER: Record<Hazard['name'], string> = { H1: '8', H1b: '8', H2: '9' }
const RIGHT: Record<Hazard['name'], string> = { H1: '0a | 1a', H1b: '0a | 1a', H2: '0a 0b' }

export async function playHazards(
  place: Readonly<{ folder: string; serversDir: string; rounds: number }>,
): Promise<FaultLine[]> {
  const { serversDir, rounds } = place
  const folder = join(place.folder, 'hazards')
  const cluster = await KafkaCluster.start({ folder, serversDir, brokers: 3 })
  try {
    const played = SENDERS.flatMap(([who, sender]) =>
      HAZARDS.map((hazard) => lineOf({ cluster, hazard, who, sender, rounds })),
    )
    return await Promise.all(played)
  } finally {
    await cluster.stop()
  }
}

type Played = Readonly<{
  cluster: KafkaCluster
  hazard: Hazard
  who: string
  sender: Sender
  rounds: number
}>

async function lineOf({ cluster, hazard, who, sender, rounds }: Played): Promise<FaultLine> {
  const right = RIGHT[hazard.name]
  const wanted = right.split(/[ |]+/)
  let [lost, duplicated, misordered] = [0, 0, 0]
  for (let round = 0; round < rounds; round++) {
    const topic = `hazard-${hazard.name}-${who.replace(' ', '-')}-${round}`
    const { log, outcomes } = await hazard.play({ cluster, topic, sender })
    // What was not acknowledged may be absent.
    if (outcomes.some((outcome) => outcome !== 'ok')) continue
    const found = log.flat()
    lost += wanted.filter((value) => !found.includes(value)).length
    duplicated += found.length - new Set(found).size
    if (
      new Set(found).size === wanted.length &&
      log.map((l) => l.join(' ')).join(' | ') !== right
    ) {
      misordered += 1
    }
  }
  const ours = sender === ourWriter
  const clean = lost + duplicated + misordered === 0
  return {
    number: NUMBER[hazard.name],
    name: `${hazard.name}: ${who}`,
    ...{ rounds, lost, duplicated, wrongWindows: 0, recoveryS: [] },
    verdict: clean ? 'held' : ours ? 'broken' : 'as known: why our writer sends for itself',
    // That stock kafkajs fails is the control: the schedule is real.
    ok: ours ? clean : !clean,
  }
}
