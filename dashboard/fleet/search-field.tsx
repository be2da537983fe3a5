/** The search: what is typed is asked of the server after a short rest. Enter opens an only hit. */
import { useEffect, useRef, useState } from 'preact/hooks'

const REST_MS = 200

type SearchProps = {
  query: string
  onQuery: (query: string) => void
  /** The only device that fits, or undefined. It is asked, because the list may lag what is typed. */
  onEnter: (query: string) => Promise<string | undefined>
  onFound: (device: string) => void
}

export function SearchField({ query, onQuery, onEnter, onFound }: SearchProps) {
  const [text, setText] = useState(query)
  useEffect(() => setText(query), [query])
  useEffect(() => {
    if (text === query) return undefined
    const timer = setTimeout(() => onQuery(text), REST_MS)
    return () => clearTimeout(timer)
  }, [text])
  const typed = useRef(text)
  typed.current = text
  useEffect(
    () => () => {
      typed.current = ''
    },
    [],
  )
  const open = async () => {
    const asked = text
    if (asked === '') return
    const found = await onEnter(asked)
    // Whoever typed on, or left, is not taken elsewhere.
    if (found !== undefined && typed.current === asked) onFound(found)
  }
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
        onKeyDown={(event) => {
          if (event.key === 'Enter' && !event.isComposing) void open()
        }}
      />
      <kbd aria-hidden="true">/</kbd>
    </search>
  )
}
