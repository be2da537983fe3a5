/** The bar that is on every page: where you are, whether it is live, and the few global switches. */
import { useState } from 'preact/hooks'
import type { FeedState } from '../live/live-feed.ts'
import { ConnectionWord } from './feed-state.tsx'
import { useKeyCommand } from './keys.tsx'
import { applyTheme, storedTheme, type Theme } from './theme.ts'

type HeaderProps = {
  feedState: FeedState
  onFleet: () => void
  onKeys: () => void
  onSignOut: () => void
}

export function Header({ feedState, onFleet, onKeys, onSignOut }: HeaderProps) {
  const toFleet = (event: Event) => {
    event.preventDefault()
    onFleet()
  }
  return (
    <header class="top">
      <a class="brand" href="#/" onClick={toFleet}>
        <svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true">
          <path d="M2 8c4 0 4 3 7 3s4-3 7-3 3 3 6 3M2 15c4 0 4 3 7 3s4-3 7-3 3 3 6 3" />
        </svg>
        Weir
      </a>
      <nav aria-label="Main">
        <a href="#/" onClick={toFleet}>
          Fleet
        </a>
      </nav>
      <ConnectionWord state={feedState} />
      <ThemeButton />
      <button type="button" class="button quiet wide-only" onClick={onKeys}>
        Keys <kbd>?</kbd>
      </button>
      <button type="button" class="button quiet" onClick={onSignOut}>
        Sign out
      </button>
    </header>
  )
}

const NEXT: Record<Theme, Theme> = { system: 'light', light: 'dark', dark: 'system' }
const WORDS: Record<Theme, string> = { system: 'Auto', light: 'Light', dark: 'Dark' }

function ThemeButton() {
  const [theme, setTheme] = useState(storedTheme)
  const change = () => {
    applyTheme(NEXT[theme])
    setTheme(NEXT[theme])
  }
  useKeyCommand((command) => {
    if (command === 'theme') change()
  })
  return (
    <button
      type="button"
      class="button quiet"
      aria-label={`Theme: ${WORDS[theme]}`}
      onClick={change}
    >
      <span class="wide-only">Theme:</span> {WORDS[theme]}
    </button>
  )
}
