/**
 * "Why this number?": one window laid open. Its stored rows, its samples with their places in the
 * log, and whether the samples add up to what was stored.
 */
import { useEffect, useRef, useState } from 'preact/hooks'
import type {
  ExplainedSample,
  Explanation,
  FieldCheck,
  StoredRevision,
} from '../../api/contract/explanation.ts'
import type { StoredResolution, Value } from '../../api/contract/resources.ts'
import type { ApiClient } from '../api-client.ts'
import { Clock } from '../say/moment.tsx'
import { ProblemNotice, type Trouble } from '../say/problem-notice.tsx'
import { momentWords, rangeWords, utcWords, valueWords } from '../say/words.ts'
import { useNow } from '../shell/clock-tick.ts'

const SAMPLES_SHOWN = 100

type PanelProps = {
  api: ApiClient
  device: string
  metric: string
  resolution: StoredResolution
  startMs: number
  onClose: () => void
}

type Found =
  | { kind: 'loading' }
  | { kind: 'trouble'; trouble: Trouble }
  | { kind: 'ready'; explanation: Explanation }

export function ExplainPanel({ api, device, metric, resolution, startMs, onClose }: PanelProps) {
  const [found, setFound] = useState<Found>({ kind: 'loading' })
  const [turn, setTurn] = useState(0)
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => heading.current?.focus(), [])
  useEffect(() => {
    const stop = new AbortController()
    const question = { device, metric, resolution, startMs, limit: SAMPLES_SHOWN }
    void api.explain({ ...question, signal: stop.signal }).then((answer) => {
      if (answer.kind === 'aborted') return
      if (answer.kind === 'ok') setFound({ kind: 'ready', explanation: answer.value })
      else setFound({ kind: 'trouble', trouble: answer })
    })
    return () => stop.abort()
  }, [api, device, metric, resolution, startMs, turn])
  return (
    <section
      class="explanation"
      aria-labelledby="explanation-title"
      onKeyDown={(event) => {
        if (event.key === 'Escape') onClose()
      }}
    >
      <div class="explanation-head">
        <h3 id="explanation-title" ref={heading} tabIndex={-1}>
          Why this number?
        </h3>
        {found.kind !== 'ready' ? null : (
          <span class="muted" title={utcWords(found.explanation.start)}>
            {rangeWords(found.explanation.start, found.explanation.end)}
          </span>
        )}
        <button type="button" class="button" onClick={onClose}>
          Close
        </button>
      </div>
      {found.kind === 'loading' ? <p role="status">looking …</p> : null}
      {found.kind === 'trouble' ? (
        <ProblemNotice trouble={found.trouble} onRetry={() => setTurn((n) => n + 1)} />
      ) : null}
      {found.kind === 'ready' ? <Evidence explanation={found.explanation} /> : null}
    </section>
  )
}

function Evidence({ explanation }: { explanation: Explanation }) {
  const { verdict, detail, checks, revisions, samples, sampleCount } = explanation
  return (
    <>
      <p class="verdict" data-verdict={verdict}>
        {verdict === 'equal' ? '✓ ' : ''}
        {detail}
      </p>
      <div class="explanation-tables">
        {checks.length === 0 ? null : <Checks checks={checks} />}
        {revisions.length === 0 ? null : <Revisions revisions={revisions} />}
      </div>
      {samples.length === 0 ? null : <Samples samples={samples} count={sampleCount} />}
    </>
  )
}

const words = (value: Value | null): string => (value === null ? '–' : valueWords(value))
const checkWords = (field: string, value: Value | null): string =>
  field.endsWith('At') && typeof value === 'number' ? momentWords(value) : words(value)

function Checks({ checks }: { checks: readonly FieldCheck[] }) {
  return (
    <table>
      <caption>Stored, and folded again from the samples for this answer</caption>
      <thead>
        <tr>
          <th scope="col">Field</th>
          <th scope="col" class="number">
            Stored
          </th>
          <th scope="col" class="number">
            From samples
          </th>
          <th scope="col">Same</th>
        </tr>
      </thead>
      <tbody>
        {checks.map(({ field, stored, folded, equal }) => (
          <tr key={field}>
            <th scope="row">{field}</th>
            <td class="number" title={String(stored)}>
              {checkWords(field, stored)}
            </td>
            <td class="number" title={String(folded)}>
              {checkWords(field, folded)}
            </td>
            <td class={equal ? '' : 'warn'}>{equal ? 'yes' : 'no'}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function Revisions({ revisions }: { revisions: readonly StoredRevision[] }) {
  const now = useNow(60_000)
  return (
    <table>
      <caption>Stored rows, newest first</caption>
      <thead>
        <tr>
          <th scope="col">Up to</th>
          <th scope="col">State</th>
          <th scope="col" class="number">
            Count
          </th>
          <th scope="col" class="number">
            Mean
          </th>
        </tr>
      </thead>
      <tbody>
        {revisions.map((revision) => (
          <tr key={revision.version}>
            <td title={`Version ${revision.version}, fold ${revision.foldEpoch}`}>
              {revision.partition}:{revision.offset}
            </td>
            <td>
              {revision.final ? 'final' : 'open'}
              {revision.correctedAt === 0 ? null : (
                <>
                  , corrected <Clock at={revision.correctedAt} now={now} />
                </>
              )}
            </td>
            <td class="number">{revision.count}</td>
            <td class="number">{words(revision.mean)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

type SamplesProps = { samples: readonly ExplainedSample[]; count: number | null }

function Samples({ samples, count }: SamplesProps) {
  const now = useNow(60_000)
  const more = count === null || count > samples.length
  return (
    <div class="wide" tabIndex={0} role="region" aria-label="Samples of this window">
      <table>
        <caption>
          {more ? `The first ${samples.length} of ${count ?? 'very many'} samples` : 'Samples'},
          with partition and offset of their record in Kafka
        </caption>
        <thead>
          <tr>
            <th scope="col">Time</th>
            <th scope="col" class="number">
              Value
            </th>
            <th scope="col">Record</th>
            <th scope="col">Remarks</th>
          </tr>
        </thead>
        <tbody>
          {samples.map((sample) => (
            <tr key={sample.at}>
              <td>
                <Clock at={sample.at} now={now} />
              </td>
              <td class="number" title={String(sample.value)}>
                <bdi>{valueWords(sample.value)}</bdi>
              </td>
              <td>
                {sample.partition}:{sample.offset}
              </td>
              <td class="muted">{remarksOf(sample).join('; ')}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function remarksOf({ stamped, deviceAt, lost }: ExplainedSample): string[] {
  return [
    ...(stamped ? [] : ['the device sent no time']),
    ...(deviceAt === undefined ? [] : [`the device said ${momentWords(deviceAt)}`]),
    ...(lost ?? []).map(
      ({ partition, offset, value }) =>
        `${valueWords(value)} in ${partition}:${offset} came later and does not count`,
    ),
  ]
}
