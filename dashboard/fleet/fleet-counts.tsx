/** How many devices speak and how many do not: the first question of whoever is on call. */
import { PULSE_WORDS, PulseMark } from '../say/pulse-mark.tsx'
import type { Pulse, ShownPulse } from '../say/words.ts'
import type { Survey } from './survey.ts'
import { SURVEYED_MAX } from './use-survey.ts'

const ORDER: readonly Pulse[] = ['silent', 'quiet', 'never', 'live']

type CountsProps = {
  survey: Survey | undefined
  /** False while nothing new can come: who was live then is not called live now. */
  flowing: boolean
  silentFirst: boolean
  onToggle: () => void
}

export function FleetCounts({ survey, flowing, silentFirst, onToggle }: CountsProps) {
  const shown = (pulse: Pulse): ShownPulse => (pulse === 'live' && !flowing ? 'was-live' : pulse)
  return (
    <div class="fleet-counts">
      <ul aria-label="Devices by when they were last heard">
        {ORDER.map((pulse) => (
          <li
            key={pulse}
            title={MEANING[shown(pulse)]}
            data-some={(survey?.counts[pulse] ?? 0) > 0}
          >
            <PulseMark pulse={shown(pulse)}>
              <b>{survey?.counts[pulse].toLocaleString('en') ?? '–'}</b> {PULSE_WORDS[shown(pulse)]}
            </PulseMark>
          </li>
        ))}
      </ul>
      {survey?.whole === false ? (
        <span class="muted">of the first {SURVEYED_MAX.toLocaleString('en')}</span>
      ) : null}
      <button type="button" class="button" aria-pressed={silentFirst} onClick={onToggle}>
        Silent first
      </button>
    </div>
  )
}

const MEANING: Record<ShownPulse, string> = {
  'was-live': 'Heard in the 30 seconds before live data stopped',
  live: 'Heard in the last 30 seconds',
  quiet: 'Heard in the last 15 minutes',
  silent: 'Not heard for 15 minutes or longer',
  never: 'Registered, but never heard',
}
