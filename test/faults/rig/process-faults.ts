/** Faults of processes: killed, stopped and woken, restarted in turn, more of them and fewer. */
import { cpSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { packageRoot } from '../../../platform/package-root.ts'
import type { RigSystem } from './rig-system.ts'
import type { Fault, RoundContext } from './round.ts'
import type { Unit } from './unit.ts'

const ZOMBIE_MS_MIN = 20_000
const ZOMBIE_MS_MAX = 26_000
/** Kafka forgets a silent member after ten seconds. */
const SHORTER_THAN_SESSION_MS = 4_000
const LONGER_THAN_SESSION_MS = 14_000
const HEAP_MB = 56
/** Of a build, what no role needs. */
const LEFT_OUT = new Set(['test', 'tools', 'deploy', 'dashboard'])

async function killed(context: RoundContext, unit: Unit): Promise<void> {
  const again = unit.ready()
  if (!unit.signal('SIGKILL')) context.fault('the process did not run')
  await again
}

/** It sleeps while another process owns its partitions, and wakes up with its old belief. */
async function zombie({ system, random, acknowledgedMore }: RoundContext): Promise<void> {
  const old = system.pipeline
  const other = await system.addPipeline()
  await sleep(1_500)
  old.signal('SIGSTOP')
  try {
    await sleep(random.between(ZOMBIE_MS_MIN, ZOMBIE_MS_MAX))
  } finally {
    old.signal('SIGCONT')
  }
  await acknowledgedMore(100)
  await sleep(2_000)
  await system.removePipeline(other)
}

const stoppedFor =
  (ms: number) =>
  async ({ system }: RoundContext): Promise<void> => {
    const { pipeline } = system
    pipeline.signal('SIGSTOP')
    await sleep(ms)
    pipeline.signal('SIGCONT')
  }

async function rollingRestart({ system, acknowledgedMore }: RoundContext): Promise<void> {
  for (const unit of [system.connectors, system.pipeline, system.api]) {
    const again = unit.ready()
    unit.signal('SIGTERM')
    await again
    await acknowledgedMore(60)
  }
}

async function scale({ system, acknowledgedMore }: RoundContext): Promise<void> {
  const more = await Promise.all([1, 2, 3].map(() => system.addPipeline()))
  await acknowledgedMore(150)
  for (const unit of more.slice(0, 2)) await system.removePipeline(unit)
  await acknowledgedMore(150)
  for (const unit of more.slice(2)) await system.removePipeline(unit)
}

async function rebalanceStorm({ system, random, acknowledgedMore }: RoundContext): Promise<void> {
  for (let n = 0; n < 4; n++) {
    const guest = await system.addPipeline()
    await sleep(random.between(500, 3_000))
    if (random.chance(0.5)) {
      await guest.killForGood()
      system.pipelines.splice(system.pipelines.indexOf(guest), 1)
    } else await system.removePipeline(guest)
    await acknowledgedMore(20)
  }
}

async function memoryPressure({ system, acknowledgedMore }: RoundContext): Promise<void> {
  const own = system.pipeline.spec
  const small = { nodeFlags: [`--max-old-space-size=${HEAP_MB}`] }
  await system.pipeline.stop()
  system.pipeline.spec = system.pipelineSpec(own.id, small)
  await acknowledgedMore(400)
  await system.pipeline.start()
  await acknowledgedMore(400)
  await system.pipeline.stop()
  system.pipeline.spec = own
  await system.pipeline.start()
}

/** Another release in the same group: the fold says another epoch, partitions go there and back. */
async function mixedVersions({ system, acknowledgedMore, fault }: RoundContext): Promise<void> {
  const program = otherRelease(system, fault)
  const newer = await system.addPipeline({ program })
  await acknowledgedMore(200)
  const again = system.pipeline.ready()
  system.pipeline.signal('SIGTERM')
  await again
  await acknowledgedMore(200)
  await newer.killForGood()
  system.pipelines.splice(system.pipelines.indexOf(newer), 1)
}

function otherRelease(system: RigSystem, fault: (text: string) => void): string {
  const built = join(import.meta.dirname, '..', '..', '..')
  const copy = join(system.folder, 'other-release')
  rmSync(copy, { recursive: true, force: true })
  for (const part of readdirSync(built)) {
    if (LEFT_OUT.has(part)) continue
    cpSync(join(built, part), join(copy, part), { recursive: true })
  }
  const root = packageRoot(import.meta.dirname)
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  symlinkSync(join(root, 'package.json'), join(copy, 'package.json'))
  const version = join(copy, 'pipeline', 'window', 'window-version.js')
  const text = readFileSync(version, 'utf8')
  const changed = text.replace(
    /FOLD_EPOCH = (\d+)/,
    (_, epoch) => `FOLD_EPOCH = ${Number(epoch) + 1}`,
  )
  if (changed === text) fault('the copy has the same fold epoch')
  writeFileSync(version, changed)
  return join(copy, 'cli', 'weir.js')
}

export const PROCESS_FAULTS: readonly Fault[] = [
  {
    name: 'kill pipeline any time',
    number: '1',
    on: 'one',
    play: (c) => killed(c, c.system.pipeline),
  },
  {
    name: 'kill connector any time',
    number: '2',
    on: 'one',
    play: (c) => killed(c, c.system.connectors),
  },
  { name: 'pipeline zombie', number: '3', on: 'one', play: zombie },
  { name: 'rolling restart of all', number: '4', on: 'one', play: rollingRestart },
  { name: 'scale 1 to 4 to 2 to 1', number: '5', on: 'one', play: scale },
  { name: 'rebalance storm', number: '21', on: 'one', play: rebalanceStorm },
  {
    name: 'pipeline blocked, shorter than its session',
    number: '22',
    on: 'one',
    play: stoppedFor(SHORTER_THAN_SESSION_MS),
  },
  {
    name: 'pipeline blocked, longer than its session',
    number: '22',
    on: 'one',
    play: stoppedFor(LONGER_THAN_SESSION_MS),
  },
  { name: 'small heap', number: '23', on: 'one', play: memoryPressure },
  { name: 'mixed versions', number: '27', on: 'one', play: mixedVersions },
]
