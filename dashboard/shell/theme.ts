/** Light, dark, or as the system says; kept for the next visit. */
const NAME = 'weir.theme'
export type Theme = 'system' | 'light' | 'dark'

export function storedTheme(): Theme {
  const stored = localStorage.getItem(NAME)
  return stored === 'light' || stored === 'dark' ? stored : 'system'
}

export function applyTheme(theme: Theme): void {
  if (theme === 'system') {
    localStorage.removeItem(NAME)
    delete document.documentElement.dataset['theme']
  } else {
    localStorage.setItem(NAME, theme)
    document.documentElement.dataset['theme'] = theme
  }
  for (const listener of listeners) listener()
}

const listeners = new Set<() => void>()

/** Canvas does not follow CSS variables by itself: whoever draws is told to draw again. */
export function onThemeChange(listener: () => void): () => void {
  const system = matchMedia('(prefers-color-scheme: dark)')
  listeners.add(listener)
  system.addEventListener('change', listener)
  return () => {
    listeners.delete(listener)
    system.removeEventListener('change', listener)
  }
}

/** The value of a CSS variable such as `--accent`. */
export const cssColour = (name: string): string =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim()
