/** Whether a device speaks, as a shape and a word: never by colour alone. */
import type { ComponentChildren } from 'preact'
import type { ShownPulse } from './words.ts'

/** `children` stand in for the word, and have to say it. */
type MarkProps = { pulse: ShownPulse; children?: ComponentChildren }

export function PulseMark({ pulse, children }: MarkProps) {
  return (
    <span class={`pulse pulse-${pulse}`}>
      <svg viewBox="0 0 12 12" width="10" height="10" aria-hidden="true">
        {SHAPES[pulse]}
      </svg>
      <span>{children ?? MARK_WORDS[pulse]}</span>
    </span>
  )
}

export const PULSE_WORDS: Record<ShownPulse, string> = {
  live: 'live',
  'was-live': 'was live',
  quiet: 'quiet',
  silent: 'silent',
  never: 'never heard',
}

const MARK_WORDS: Record<ShownPulse, string> = { ...PULSE_WORDS, never: 'never' }

const SHAPES = {
  live: <circle cx="6" cy="6" r="5" fill="currentColor" />,
  'was-live': (
    <circle
      cx="6"
      cy="6"
      r="4"
      fill="none"
      stroke="currentColor"
      stroke-width="2"
      stroke-dasharray="3"
    />
  ),
  quiet: <circle cx="6" cy="6" r="4" fill="none" stroke="currentColor" stroke-width="2" />,
  silent: <path d="M2 2l8 8M10 2l-8 8" stroke="currentColor" stroke-width="2" />,
  never: <path d="M1 6h10" stroke="currentColor" stroke-width="2" />,
} as const
