/** The current time as state: everything that says "x s ago" ticks together. */
import { useEffect, useState } from 'preact/hooks'
import { nowMs } from '../clock.ts'

export function useNow(everyMs: number): number {
  const [now, setNow] = useState(nowMs)
  useEffect(() => {
    const timer = setInterval(() => setNow(nowMs()), everyMs)
    return () => clearInterval(timer)
  }, [everyMs])
  return now
}
