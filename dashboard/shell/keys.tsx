/** The keyboard: what each key does, in one list that is both obeyed and shown by `?`. */
import { useEffect, useRef } from 'preact/hooks'

export type KeyCommand = 'search' | 'keys' | 'fleet' | 'live' | 'shorter' | 'longer' | 'theme'

const COMMANDS: Record<string, KeyCommand> = {
  '/': 'search',
  '?': 'keys',
  f: 'fleet',
  l: 'live',
  '[': 'shorter',
  ']': 'longer',
  t: 'theme',
}

const LIST: readonly [string, string][] = [
  ['/', 'Search the fleet'],
  ['f', 'Go to the fleet'],
  ['l', 'Back to live'],
  ['[ ]', 'Shorter or longer span'],
  ['← →', 'On the chart: earlier, later'],
  ['+ −', 'On the chart: zoom in, zoom out'],
  ['0', 'On the chart: reset the zoom'],
  ['t', 'Light, dark, or as the system'],
  ['Esc', 'Close, or leave a field'],
  ['?', 'This list'],
]

const EVENT = 'weir-key'

/** Turns key presses outside of fields into commands that any part of the page can hear. */
export function listenForKeys(): () => void {
  const onKey = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const target = event.target
    const typing = target instanceof HTMLElement && target.matches('input, textarea, select')
    if (event.key === 'Escape' && typing) return target.blur()
    const command = COMMANDS[event.key]
    if (command === undefined || typing) return
    event.preventDefault()
    dispatchEvent(new CustomEvent<KeyCommand>(EVENT, { detail: command }))
  }
  addEventListener('keydown', onKey)
  return () => removeEventListener('keydown', onKey)
}

export function useKeyCommand(act: (command: KeyCommand) => void): void {
  const latest = useRef(act)
  latest.current = act
  useEffect(() => {
    // Only listenForKeys dispatches this event, always with a command.
    const onCommand = (event: Event) => latest.current((event as CustomEvent<KeyCommand>).detail)
    addEventListener(EVENT, onCommand)
    return () => removeEventListener(EVENT, onCommand)
  }, [])
}

export function KeysDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    if (open) dialog.current?.showModal()
    else dialog.current?.close()
  }, [open])
  return (
    <dialog ref={dialog} aria-labelledby="keys-title" onClose={onClose}>
      <h2 id="keys-title">Keys</h2>
      <dl class="keys">
        {LIST.map(([key, meaning]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
      <button type="button" class="button" onClick={onClose}>
        Close
      </button>
    </dialog>
  )
}
