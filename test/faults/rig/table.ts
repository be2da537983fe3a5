/** One line of the table that a run of faults ends with. */
import type { Fault, RoundResult } from './round.ts'

export type FaultLine = Readonly<{
  number: string
  name: string
  rounds: number
  lost: number
  duplicated: number
  wrongWindows: number
  recoveryS: readonly number[]
  /** 'held', 'not run: …', or the first finding. */
  verdict: string
  ok: boolean
}>

/** A round that broke off has a sentence instead of a result. */
export function lineOf(fault: Fault, results: readonly (RoundResult | string)[]): FaultLine {
  const whole = results.filter((each) => typeof each !== 'string')
  const sum = (of: (result: RoundResult) => number): number =>
    whole.reduce((total, each) => total + of(each), 0)
  const bad = results.flatMap((each) =>
    typeof each === 'string' ? [each] : each.findings.slice(0, 1),
  )
  const failed = results.filter((each) => typeof each === 'string' || each.findings.length > 0)
  const [first] = bad
  return {
    number: fault.number,
    name: fault.name,
    rounds: results.length,
    lost: sum(({ lost }) => lost),
    duplicated: sum(({ duplicated }) => duplicated),
    wrongWindows: sum(({ wrongWindows }) => wrongWindows),
    recoveryS: whole.map(({ recoveryS }) => recoveryS),
    verdict:
      first === undefined
        ? heldBy(fault)
        : `${failed.length} of ${results.length}: ${first.slice(0, 90)}`,
    ok: failed.length === 0,
  }
}

const heldBy = ({ lossAllowed }: Fault): string =>
  lossAllowed === true ? 'held: what Kafka had deleted is lost, and told' : 'held'

export const notRun = (
  fault: Readonly<{ number: string; name: string; why: string }>,
): FaultLine => ({
  number: fault.number,
  name: fault.name,
  rounds: 0,
  lost: 0,
  duplicated: 0,
  wrongWindows: 0,
  recoveryS: [],
  verdict: `not run: ${fault.why}`,
  ok: true,
})
