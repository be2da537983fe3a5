/** The search: what is typed is asked of the server after a short rest. */
import { useEffect, useState } from 'preact/hooks'

const REST_MS = 200

export function SearchField({ query, onQuery }: { query: string; onQuery: (q: string) => void }) {
  const [text, setText] = useState(query)
  useEffect(() => setText(query), [query])
  useEffect(() => {
    if (text === query) return undefined
    const timer = setTimeout(() => onQuery(text), REST_MS)
    return () => clearTimeout(timer)
  }, [text])
  return (
    <search class="search">
      <input
        id="search"
        type="search"
        placeholder="Search devices"
        aria-label="Search devices"
        aria-keyshortcuts="/"
        autocomplete="off"
        spellcheck={false}
        dir="auto"
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <kbd aria-hidden="true">/</kbd>
    </search>
  )
}
