/**
 * What kafkajs calls sent and does not have: H1, H1b and H2 on a live cluster of three brokers.
 * Stock kafkajs shows that the schedules are real, our writer that it has none of these hazards.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { packageRoot } from '../../platform/package-root.ts'
import {
  type Hazard,
  HAZARDS,
  type HazardResult,
  ourWriter,
  stockKafkajs,
} from './rig/acknowledged-loss.ts'
import { KafkaCluster } from './rig/kafka-cluster.ts'

/** What each partition may hold afterwards, all of it having been called sent. */
const RIGHT: Record<Hazard['name'], readonly string[]> = {
  H1: ['0a | 1a'],
  H1b: ['0a | 1a'],
  H2: ['0a 0b'],
}
/** Of two sends that start at once, either may be the one that is repeated in place of the other. */
const STOCK: typeof RIGHT = { H1: [' | 1a'], H1b: ['0a | 1a 1a'], H2: ['0a 0a', '0b 0b'] }

describe('acknowledged by the client, and in the log', { concurrency: true }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'weir-hazards-'))
  let cluster: KafkaCluster

  before(async () => {
    cluster = await KafkaCluster.start({
      folder,
      brokers: 3,
      serversDir:
        process.env['WEIR_SERVERS_DIR'] ??
        join(packageRoot(import.meta.dirname), '.weir', 'servers'),
    })
  })
  after(async () => {
    await cluster?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const played: readonly (readonly [string, typeof ourWriter, typeof RIGHT])[] = [
    ['our writer has everything once, in order', ourWriter, RIGHT],
    ['stock kafkajs loses or repeats', stockKafkajs, STOCK],
  ]
  for (const [what, sender, expected] of played) {
    for (const hazard of HAZARDS) {
      it(`${hazard.name}: ${what}`, async () => {
        const topic = `hazard-${hazard.name}-${sender === ourWriter ? 'ours' : 'stock'}`
        const result: HazardResult = await hazard.play({ cluster, topic, sender })
        assert.ok(
          result.outcomes.every((outcome) => outcome === 'ok'),
          result.outcomes.join(),
        )
        const log = result.log.map((values) => values.join(' ')).join(' | ')
        assert.ok(expected[hazard.name].includes(log), log)
      })
    }
  }
})
