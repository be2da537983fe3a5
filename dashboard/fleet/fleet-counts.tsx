/** How many devices speak and how many do not: the first question of whoever is on call. */
import { PULSE_WORDS, PulseMark } from '../say/pulse-mark.tsx'
import type { Pulse } from '../say/words.ts'
import type { Survey } from './survey.ts'
import { SURVEYED_MAX } from './use-survey.ts'

const ORDER: readonly Pulse[] = ['silent', 'quiet', 'never', 'live']

type CountsProps = { survey: Survey | undefined; silentFirst: boolean; onToggle: () => void }

export function FleetCounts({ survey, silentFirst, onToggle }: CountsProps) {
  return (
    <div class="fleet-counts">
      <ul aria-label="Devices by when they were last heard">
        {ORDER.map((pulse) => (
          <li key={pulse} title={MEANING[pulse]} data-some={(survey?.counts[pulse] ?? 0) > 0}>
            <PulseMark pulse={pulse}>
              <b>{survey?.counts[pulse].toLocaleString('en') ?? '–'}</b> {PULSE_WORDS[pulse]}
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

const MEANING: Record<Pulse, string> = {
  live: 'Heard in the last 30 seconds',
  quiet: 'Heard in the last 15 minutes',
  silent: 'Not heard for 15 minutes or longer',
  never: 'Registered, but never heard',
}
