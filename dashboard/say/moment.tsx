/** A moment or an age on screen: local for the eye, UTC on hover and for machines. */
import { ageWords, clockWords, momentWords, utcWords } from './words.ts'

export function Age({ at, now }: { at: number; now: number }) {
  return <Time at={at}>{ageWords(Math.max(0, now - at))}</Time>
}

export function Clock({ at, now }: { at: number; now: number }) {
  const today = new Date(at).toDateString() === new Date(now).toDateString()
  return <Time at={at}>{today ? clockWords(at) : momentWords(at)}</Time>
}

function Time({ at, children }: { at: number; children: string }) {
  return (
    <time dateTime={new Date(at).toISOString()} title={`${momentWords(at)}\n${utcWords(at)}`}>
      {children}
    </time>
  )
}
