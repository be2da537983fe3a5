/** Whether a device speaks, as a shape and a word: never by colour alone. */
import type { Pulse } from './words.ts'

export function PulseMark({ pulse }: { pulse: Pulse }) {
  return (
    <span class={`pulse pulse-${pulse}`}>
      <svg viewBox="0 0 12 12" width="10" height="10" aria-hidden="true">
        {SHAPES[pulse]}
      </svg>
      {pulse}
    </span>
  )
}

const SHAPES = {
  live: <circle cx="6" cy="6" r="5" fill="currentColor" />,
  quiet: <circle cx="6" cy="6" r="4" fill="none" stroke="currentColor" stroke-width="2" />,
  silent: <path d="M2 2l8 8M10 2l-8 8" stroke="currentColor" stroke-width="2" />,
  never: <path d="M1 6h10" stroke="currentColor" stroke-width="2" />,
} as const
