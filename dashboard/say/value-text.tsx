/** A value of any type; it lights up for a moment when it changes, and only then. */
import { useRef } from 'preact/hooks'
import type { Value } from '../../api/contract/resources.ts'
import { type Digits, steadyWords } from './digits.ts'

export function ValueText({ value, digits }: { value: Value; digits: Digits }) {
  const first = useRef(value)
  const changed = first.current !== value
  // A new key makes a new element, and that starts the highlight again.
  return (
    <b
      key={String(value)}
      class={`value value-${typeof value}${changed ? ' changed' : ''}`}
      title={String(value)}
    >
      <bdi>{steadyWords(value, digits)}</bdi>
    </b>
  )
}
