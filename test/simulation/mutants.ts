/**
 * The rules of the exactness protocol, each with the change to the built modules that takes it
 * away. A simulator that does not notice proves nothing, so each of these must be caught.
 */
import type { Edit } from './modules.ts'
import type { Trouble } from './plan.ts'

export type Mutant = Readonly<{
  name: string
  rule: string
  edits: readonly Edit[]
  /** Troubles without which the rule is hardly ever missed. */
  missedIn?: readonly Trouble[]
  /** Where to begin to look for the rarest. Any change to the worlds moves them. */
  nearSeed?: number
}>

const FOLD = 'pipeline/window/partition-fold.js'
const FLUSH = 'pipeline/write-flush.js'
const CASCADE = 'pipeline/cascade.js'
const RUNNER = 'pipeline/partition-runner.js'
const SERVICE = 'pipeline/rollup-service.js'

const mutant = (
  name: string,
  rule: string,
  file: string,
  ...changes: readonly (readonly [from: string, to: string])[]
): Mutant => ({ name, rule, edits: changes.map(([from, to]) => ({ file, from, to })) })

const COMMIT = 'const committed = await flush.commit();'

const POSITION: readonly Mutant[] = [
  mutant('hold-back', 'the commit is held back to the oldest open window', FOLD, [
    'Math.min(this.#position, this.#shelf.firstOffset)',
    'this.#position',
  ]),
  mutant('closed-floor', 'the closed watermark is restored from the commit', FOLD, [
    'this.#closedToMs = restored.closedToMs',
    'this.#closedToMs = 0',
  ]),
  mutant(
    'position-of-later',
    'P is of the same moment as the rows',
    RUNNER,
    [
      'const metadata = checkpointMetadata(snapshot.checkpoint);',
      `const metadata = { toString: () => '' };`,
    ],
    [
      'commit(assignment, { offset, metadata })',
      `commit(assignment, { offset, metadata: checkpointMetadata({
         ...snapshot.checkpoint, position: this.fold.position }) })`,
    ],
  ),
  mutant(
    'closed-of-later',
    'C is of the same moment as the rows',
    RUNNER,
    [
      'const metadata = checkpointMetadata(snapshot.checkpoint);',
      `const metadata = { toString: () => '' };`,
    ],
    [
      'commit(assignment, { offset, metadata })',
      `commit(assignment, { offset, metadata: checkpointMetadata({
         ...snapshot.checkpoint, closedToMs: this.fold.closedToMs }) })`,
    ],
  ),
  mutant('replay-flushes', 'no rows and no commit while replaying', FOLD, [
    'this.#position === this.#snapshotPosition || ',
    '',
  ]),
  mutant('refusal-forgotten', 'a refused commit is repeated', SERVICE, [
    'if (!totals.committed)',
    'if (false)',
  ]),
  mutant('gap-trusted', 'behind a gap of the log, windows are left to raw', RUNNER, [
    '!(await this.#passGap(firstOffset))',
    '(this.#nextOffset = firstOffset) < 0',
  ]),
  mutant(
    'metadata-guessed',
    'without readable metadata, windows are left to raw',
    'pipeline/window/checkpoint.js',
    ['closedToMs: distrustedToMs(largestAppendMs)', 'closedToMs: 0'],
  ),
]

const RECORDS: readonly Mutant[] = [
  mutant('closed-per-sample', 'a record is judged whole, by C from before it', FOLD, [
    'context.newestTsMs = tsMs;',
    `{
       context.newestTsMs = tsMs;
       if (!context.replay) this.#closedToMs = Math.max(this.#closedToMs,
         Math.min(tsMs, context.clampMs) - this.#options.latenessMs);
     }`,
  ]),
  mutant(
    'repeats-kept',
    'repeats inside a record are dropped, the first wins',
    'pipeline/window/record-context.js',
    ['mayRepeat(record, series) ? new Map() : undefined', 'undefined'],
  ),
  mutant(
    'tie-reversed',
    'of equal times the first offset wins in memory as in the table',
    'pipeline/window/open-windows.js',
    [
      'if (at < 0)\n            return false;',
      'if (at < 0) return this.replace(slot, dt, from[k]);',
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
  ),
  mutant(
    'clamp-by-receive',
    'samples are judged by both clocks of the log',
    'pipeline/window/record-context.js',
    ['this.clampMs = clampMs(record.recvTs, appendMs);', 'this.clampMs = record.recvTs;'],
  ),
  mutant('too-late-taken', 'what may outlive its raw rows is refused', 'schemas/telemetry.js', [
    'Math.max(0, appendMs - acceptedAgeMs)',
    '0',
  ]),
  mutant('letters-unawaited', 'an offset is passed when its dead letter is in the log', FLUSH, [
    'await flush.deadLetters;',
    '',
  ]),
]

const CORRECTIONS: readonly Mutant[] = [
  mutant(
    'late-after-commit',
    'no late mark is left behind a commit',
    FLUSH,
    ['const corrections = await correct(flush.snapshot, ports);', ''],
    [COMMIT, `${COMMIT} const corrections = await correct(flush.snapshot, ports);`],
  ),
  mutant(
    'raw-after-recompute',
    'raw rows are durable before windows are recomputed from them',
    FLUSH,
    ['await sink.insertSamples(raw);', 'LATER.set(sink, [...(LATER.get(sink) ?? []), raw]);'],
    [
      'await flush.deadLetters;',
      `const later = LATER.get(ports.sink) ?? [];
       LATER.delete(ports.sink);
       for (const raw of later) await ports.sink.insertSamples(raw);
       await flush.deadLetters;`,
    ],
    [
      'export async function writeRows',
      'const LATER = new WeakMap();\nexport async function writeRows',
    ],
  ),
  mutant(
    'lanes-unordered',
    'flushes of a partition are settled in their order',
    'pipeline/settle-lanes.js',
    [
      'lane.last.then(() => this.#settle(rest, lane, addedMs))',
      'Promise.all([lane.last, this.#settle(rest, lane, addedMs)])',
    ],
  ),
  mutant('marks-of-twins', 'the late marks of a series are those of one object', FOLD, [
    ' && !this.#late.bySeries.has(series)',
    '',
  ]),
  mutant('raw-expired', 'nothing is recomputed from raw rows that may have expired', FLUSH, [
    'ports.checkRawRetention(snapshot.oldestLateAppendMs);',
    '',
  ]),
]

const VERSIONS: readonly Mutant[] = [
  mutant(
    'closed-at-flush',
    'closed windows carry the version of the record that closed them',
    'pipeline/window/window-shelf.js',
    [
      'const rows = this.#rows;\n        this.#rows = freshRows();',
      `const rows = this.#rows;
       for (const each of rows) each.versions.fill(version);
       this.#rows = freshRows();`,
    ],
  ),
  mutant(
    'epoch-on-top',
    'the fold epoch is in the low bits of a version',
    'pipeline/window/window-version.js',
    ['offset * FOLD_EPOCHS + foldEpoch', 'foldEpoch * 2 ** 40 + offset * FOLD_EPOCHS'],
  ),
]

const CASCADES: readonly Mutant[] = [
  mutant(
    'hours-after-commit',
    'hours and days are merged before the commit',
    FLUSH,
    ['const cascaded = await writeCascades(flush.snapshot, ports.sink);', ''],
    [COMMIT, `${COMMIT} const cascaded = await writeCascades(flush.snapshot, ports.sink);`],
  ),
  mutant(
    'hours-uncorrected',
    'hours are merged again when a minute of theirs was corrected',
    CASCADE,
    ['written += await writeCorrected(snapshot, cascade, sink);', ';'],
  ),
  mutant('hours-from-memory', 'hours are merged from all minutes in the table', CASCADE, [
    'mergeInto(this.#state, aggregate);',
    `const { cascadedToMs } = this.#options.snapshot;
     if (this.#options.corrected || startMs + this.#options.cascade.childMs > cascadedToMs)
       mergeInto(this.#state, aggregate);`,
  ]),
  mutant('hours-ahead', 'hours carry the version of the last record before P', CASCADE, [
    'version: snapshot.correctionVersion',
    'version: snapshot.correctionVersion + 256',
  ]),
  mutant('hours-behind', 'hours carry the version of the last record before P', CASCADE, [
    'version: snapshot.correctionVersion',
    'version: Math.max(0, snapshot.correctionVersion - 256)',
  ]),
  mutant('hours-open', 'an hour that is still open is never written', CASCADE, [
    'toMs: windowStartMs(checkpoint.closedToMs, parentMs)',
    'toMs: windowStartMs(checkpoint.closedToMs, parentMs) + parentMs',
  ]),
]

const SERIES: readonly Mutant[] = [
  mutant('collisions-passed', 'two names under one id are refused', FLUSH, [
    'collisions.length > 0',
    'false',
  ]),
]

/** Where to look for those that are rarely missed. */
const MISSED_IN: Readonly<Record<string, readonly Trouble[]>> = {
  'replay-flushes': ['crashes', 'regressed commits', 'late samples'],
  'gap-trusted': ['lost records', 'regressed commits', 'crashes', 'late samples'],
  'metadata-guessed': ['unreadable metadata', 'crashes', 'late samples'],
  'refusal-forgotten': ['no ticks', 'rebalances'],
  'epoch-on-top': ['rolling upgrade', 'crashes', 'rebalances'],
  'raw-expired': ['retention', 'frozen processes', 'rebalances', 'late samples'],
  'collisions-passed': ['colliding series'],
}

/** A process that sleeps for longer than raw rows live, with late samples in its hands. */
const NEAR_SEED: Readonly<Record<string, number>> = { 'raw-expired': 1_960, 'replay-flushes': 140 }

export const MUTANTS: readonly Mutant[] = [
  ...POSITION,
  ...RECORDS,
  ...CORRECTIONS,
  ...VERSIONS,
  ...CASCADES,
  ...SERIES,
].map((each) => ({
  ...each,
  missedIn: MISSED_IN[each.name] ?? [],
  nearSeed: NEAR_SEED[each.name] ?? 1,
}))

export function mutantNamed(name: string): Mutant {
  const found = MUTANTS.find((each) => each.name === name)
  if (found !== undefined) return found
  const names = MUTANTS.map((each) => each.name).join(', ')
  throw new Error(`There is no mutant ${name}. Mutants: ${names}.`)
}
