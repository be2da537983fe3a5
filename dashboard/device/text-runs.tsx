/** A text metric over time: how long it said what. A line would be a lie. */
import { Clock } from '../say/moment.tsx'
import { valueWords } from '../say/words.ts'
import type { Point } from '../series/point-series.ts'
import { useNow } from '../shell/clock-tick.ts'

const RUNS_SHOWN = 100

type Run = { value: string; fromMs: number; count: number }

export function TextRuns({ points }: { points: readonly Point[] }) {
  const now = useNow(60_000)
  const runs = runsOf(points)
  return (
    <div class="scroll runs" tabIndex={0} role="region" aria-label="What it said, newest first">
      <table>
        <thead>
          <tr>
            <th scope="col">Since</th>
            <th scope="col">Text</th>
            <th scope="col" class="number">
              Readings
            </th>
          </tr>
        </thead>
        <tbody>
          {runs
            .slice(-RUNS_SHOWN)
            .toReversed()
            .map(({ value, fromMs, count }) => (
              <tr key={fromMs}>
                <td>
                  <Clock at={fromMs} now={now} />
                </td>
                <td>
                  <bdi>{value}</bdi>
                </td>
                <td class="number">{count}</td>
              </tr>
            ))}
        </tbody>
      </table>
    </div>
  )
}

/** Neighbouring windows that end on the same text are one run. */
function runsOf(points: readonly Point[]): Run[] {
  const runs: Run[] = []
  for (const { start, last, count } of points) {
    const value = valueWords(last)
    const run = runs.at(-1)
    if (run?.value === value) run.count += count
    else runs.push({ value, fromMs: start, count })
  }
  return runs
}
