/**
 * Exactness under crashes, zombies and regressed commits, and proof that the test would notice:
 * each rule of the protocol is taken out of the built modules in turn, and must be missed.
 */
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import fc from 'fast-check'
import { type Action, FlushWorld, type Modules, schedules } from './testing/flush-world.ts'
import { tickRecord } from '../schemas/telemetry.ts'
import * as checkpoints from './window/checkpoint.ts'
import { emptyRecord, LOG_START_MS, logs } from './testing/fold-log.ts'
import { PartitionFold } from './window/partition-fold.ts'
import { settle, writeRows } from './write-flush.ts'

const RUNS = 3_000
/** A mutant ends at its first failure, so only one that survives costs all of these. */
const MUTANT_RUNS = 50_000

const picks = fc.infiniteStream(fc.nat(1_000))

function exactness(modules: Modules) {
  return fc.asyncProperty(logs(40), schedules, picks, async (log, schedule, random) => {
    const pick = (choices: number): number => (random.next().value ?? 0) % choices
    const wrong = await new FlushWorld(modules, log, pick).run(schedule)
    assert.equal(wrong, undefined)
  })
}

test('tables equal brute force after any crashes, zombies, stale commits and blind starts', async () => {
  await fc.assert(exactness({ PartitionFold, writeRows, settle, ...checkpoints }), {
    numRuns: RUNS,
  })
})

type Mutation = Readonly<{
  rule: string
  file: string
  edits: readonly (readonly [string, string])[]
}>

const MUTATIONS: readonly Mutation[] = [
  {
    rule: 'the commit is held back to the oldest open window',
    file: 'window/partition-fold.js',
    edits: [['Math.min(this.#position, this.#shelf.firstOffset)', 'this.#position']],
  },
  {
    rule: 'the closed watermark is restored',
    file: 'window/partition-fold.js',
    edits: [['this.#closedToMs = restored.closedToMs', 'this.#closedToMs = 0']],
  },
  {
    rule: 'a record is judged whole',
    file: 'window/partition-fold.js',
    edits: [
      [
        'context.newestTsMs = tsMs;',
        `context.newestTsMs = tsMs;
         if (!context.replay) this.#closedToMs = Math.max(this.#closedToMs,
           Math.min(tsMs, context.clampMs) - this.#options.latenessMs);`,
      ],
    ],
  },
  {
    rule: 'repeats inside a record are dropped',
    file: 'window/record-context.js',
    edits: [['mayRepeat(record, series) ? new Map() : undefined', 'undefined']],
  },
  {
    rule: 'no rows and no commit while replaying',
    file: 'window/partition-fold.js',
    edits: [['this.#position === this.#snapshotPosition || ', '']],
  },
  {
    rule: 'late marks are recomputed before the commit',
    file: 'write-flush.js',
    edits: [
      ['const corrections = await correct(flush.snapshot, ports);', ''],
      [
        'return { corrections, cascaded',
        'const corrections = await correct(flush.snapshot, ports);\nreturn { corrections, cascaded',
      ],
    ],
  },
  {
    rule: 'raw rows are durable before the recompute',
    file: 'write-flush.js',
    edits: [
      ['await sink.insertSamples(raw);', ';'],
      [
        'async function settle(flush, ports) {',
        `async function settle(flush, ports) {
           const totals = await settleFirst(flush, ports);
           if (flush.snapshot.raw.count > 0) await ports.sink.insertSamples([flush.snapshot.raw]);
           return totals;
         }
         async function settleFirst(flush, ports) {`,
      ],
    ],
  },
  {
    rule: 'closed windows carry the version of the record that closed them',
    file: 'window/window-shelf.js',
    edits: [
      [
        'const rows = this.#rows;',
        'const rows = this.#rows; for (const each of rows) each.versions.fill(version);',
      ],
    ],
  },
  {
    rule: 'of equal times the first offset wins in memory as in the table',
    file: 'window/open-windows.js',
    edits: [
      [
        'if (at < 0)\n            return false;',
        'if (at < 0) return this.replace(slot, dt, value);',
      ],
      [
        'textsOf(slot) {',
        `replace(slot, dt, value) {
           const [block, i] = [this.blockOf(slot), indexOf(slot)];
           const samples = block.samples[i], base = baseOf(samples);
           const { dts, values } = this.pool.segmentOf(samples);
           for (let k = base; k < base + block.count[i]; k += 1) if (dts[k] === dt) values[k] = value;
           block.folded[i] = 0;
           return true;
         }
         textsOf(slot) {`,
      ],
    ],
  },
  {
    rule: 'hours are merged before the commit',
    file: 'write-flush.js',
    edits: [
      ['const cascaded = await writeCascades([flush.snapshot], ports.sink);', ''],
      [
        'return { corrections, cascaded',
        'const cascaded = await writeCascades([flush.snapshot], ports.sink);\nreturn { corrections, cascaded',
      ],
    ],
  },
  {
    rule: 'hours are merged again when a minute of theirs was corrected',
    file: 'cascade.js',
    edits: [['written += await writeCorrected(snapshot, cascade, sink);', ';']],
  },
]

const builds: string[] = []
after(() => {
  for (const build of builds) rmSync(build, { recursive: true })
})

/** A copy of the built modules with one rule taken out. */
async function mutant({ file, edits }: Mutation): Promise<Modules> {
  const built = join(import.meta.dirname, '..')
  const copy = mkdtempSync(join(tmpdir(), 'weir-mutant-'))
  builds.push(copy)
  writeFileSync(join(copy, 'package.json'), '{"type":"module"}')
  for (const part of ['pipeline', 'schemas', 'platform']) {
    cpSync(join(built, part), join(copy, part), { recursive: true })
  }
  const path = join(copy, 'pipeline', file)
  let text = readFileSync(path, 'utf8')
  for (const [from, to] of edits) {
    assert.equal(text.split(from).length, 2, `not exactly once in ${file}: ${from}`)
    text = text.replace(from, () => to)
  }
  writeFileSync(path, text)
  const load = (module: string) => import(pathToFileURL(join(copy, 'pipeline', module)).href)
  // The same modules but for the edits, so they have the same shape.
  return {
    ...((await load('window/partition-fold.js')) as Modules),
    ...((await load('write-flush.js')) as Modules),
    ...((await load('window/checkpoint.js')) as Modules),
  }
}

for (const mutation of MUTATIONS) {
  test(`the property fails without the rule: ${mutation.rule}`, async () => {
    const details = await fc.check(exactness(await mutant(mutation)), {
      numRuns: MUTANT_RUNS,
      endOnFailure: true,
    })
    assert.equal(details.failed, true)
  })
}

test('a start without a checkpoint to trust recomputes from raw what older records lie in', async () => {
  const at = LOG_START_MS
  const sample = (offset: number, tsMs: number, appendMs: number) => ({
    offset,
    appendMs,
    record: {
      ...emptyRecord('d0', appendMs),
      numbers: [{ metric: 'm', t0: tsMs, dt: [0], v: [offset] }],
    },
  })
  // A tick closes the window, all of it is committed, and then a late sample arrives.
  const tick = { offset: 1, appendMs: at + 80_000, record: tickRecord(at + 80_000) }
  const log = [sample(0, at, at), tick, sample(2, at + 1, at + 81_000)]
  const schedule: Action[] = [
    { kind: 'read', slot: 0, records: 2 },
    { kind: 'flush', slot: 0, fault: undefined },
    { kind: 'startBlind', slot: 0 },
    { kind: 'read', slot: 0, records: 1 },
    { kind: 'flush', slot: 0, fault: undefined },
  ]
  const real = { PartitionFold, writeRows, settle, ...checkpoints }
  assert.equal(await new FlushWorld(real, log, () => 0).run(schedule), undefined)
  const guessing = await mutant({
    rule: 'distrust',
    file: 'window/checkpoint.js',
    edits: [['closedToMs: distrustedToMs(largestAppendMs)', 'closedToMs: 0']],
  })
  assert.notEqual(await new FlushWorld(guessing, log, () => 0).run(schedule), undefined)
})
