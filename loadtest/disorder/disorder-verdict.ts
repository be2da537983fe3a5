/**
 * What `loadtest disorder` must show. Equal tables prove nothing where nothing was disordered, so
 * what the plan promised must have happened, by the pipeline's own counters.
 */
import { type Disorder, LATE_MS_MAX, SHARES } from './delivery-plan.ts'
import type { Counted } from './delivery-run.ts'
import type { TableVerdict } from './table-comparison.ts'

type Run = Readonly<{ disorder: Disorder; counted: Counted }>

/** Sentences; none where everything holds. */
export function brokenPromises({
  inOrder,
  disordered,
  tables,
}: Readonly<{ inOrder: Run; disordered: Run; tables: readonly TableVerdict[] }>): string[] {
  return [
    ...shareProblems(disordered.disorder),
    ...orderProblems(inOrder),
    ...counterProblems('in order', inOrder),
    ...counterProblems('disordered', disordered),
    ...(disordered.counted.corrections > 0 ? [] : ['no window was corrected']),
    ...tables.flatMap(tableProblems),
  ]
}

function shareProblems(disorder: Disorder): string[] {
  const { samples, lateMsMax } = disorder
  const parts = [
    ['delivered again', disorder.again, SHARES.again],
    ['out of order', disorder.outOfOrder, SHARES.outOfOrder],
    ['late', disorder.late, SHARES.late],
  ] as const
  return [
    ...parts
      .filter(([, part, share]) => part < share * samples)
      .map(
        ([name, part, share]) => `${part} of ${samples} samples are ${name}, not ${share * 100} %`,
      ),
    ...(lateMsMax <= LATE_MS_MAX ? [] : [`a sample is ${lateMsMax} ms late`]),
  ]
}

function orderProblems({ disorder, counted }: Run): string[] {
  const { again, outOfOrder, late } = disorder
  const isInOrder = again + outOfOrder + late + counted.lateSamples + counted.corrections === 0
  return isInOrder ? [] : ['the run in order was not']
}

/** Each counter of a run, against what was delivered. */
function counterProblems(name: string, { disorder, counted }: Run): string[] {
  const pairs = [
    ['samples', counted.samples, disorder.delivered],
    ['late samples', counted.lateSamples, disorder.late + disorder.lateAgain],
    ['refused samples', counted.refusedSamples, 0],
  ] as const
  return pairs
    .filter(([, found, wanted]) => found !== wanted)
    .map(([what, found, wanted]) => `${name}: the pipeline counted ${found} ${what}, not ${wanted}`)
}

function tableProblems({ table, rows, corrected, difference }: TableVerdict): string[] {
  const problems: string[] = []
  if (difference !== undefined) problems.push(`${table} differs: ${difference}`)
  if (rows === 0) problems.push(`${table} is empty`)
  if (corrected === undefined) return problems
  const [inOrder, disordered] = corrected
  if (inOrder > 0) problems.push(`${table}: ${inOrder} rows were corrected in order`)
  if (disordered === 0) problems.push(`${table}: no row was corrected`)
  return problems
}
