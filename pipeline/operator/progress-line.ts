/** How far a long command is: one line that is written over on a terminal, one every 5 s elsewhere. */
import { systemClock } from '../../platform/clock.ts'

const TERMINAL_MS = 200
const ELSEWHERE_MS = 5_000

export function progressLine(command: string) {
  const isTerminal = process.stderr.isTTY
  let startedMs = systemClock.monotonicMs()
  let shownMs = startedMs
  let toldMs = startedMs
  let counted = ''
  return {
    show(done: number, all: number, what: string): void {
      const nowMs = systemClock.monotonicMs()
      if (counted !== '' && what !== counted) startedMs = toldMs // The rate of these, not of all.
      counted = what
      toldMs = nowMs
      if (nowMs - shownMs < (isTerminal ? TERMINAL_MS : ELSEWHERE_MS)) return
      shownMs = nowMs
      const perSecond = Math.round(done / Math.max(0.001, (nowMs - startedMs) / 1000))
      const left = perSecond > 0 ? `, ${Math.ceil((all - done) / perSecond)} s left` : ''
      const text = `${command}: ${done} of ${all} ${what}, ${perSecond} a second${left}`
      process.stderr.write(isTerminal ? `\r${text}\u001b[K` : `${text}\n`)
    },
    end(): void {
      if (isTerminal && shownMs > startedMs) process.stderr.write('\r\u001b[K')
    },
  }
}
