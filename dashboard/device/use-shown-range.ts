/** The stretch of time on screen: fixed, or moving with the clock. */
import { useEffect, useState } from 'preact/hooks'
import type { View } from '../address.ts'
import type { ApiClient } from '../api-client.ts'
import { nowMs } from '../clock.ts'
import { type Range, spanLengthMs } from '../series/span.ts'
import { useNow } from '../shell/clock-tick.ts'

const DAY_MS = 86_400_000
/** "All" of a device younger than this still shows a chart and not a dot. */
const ALL_AT_LEAST_MS = 3_600_000

type RangeOptions = { api: ApiClient; device: string; metric: string; view: View }

export function useShownRange({ api, device, metric, view }: RangeOptions): Range {
  const now = useNow(1000)
  const firstMs = useFirstMs({ api, device, metric, wanted: view.span === 'all' })
  if (view.kind === 'fixed') return view
  const lengthMs = spanLengthMs(view.span) ?? Math.max(ALL_AT_LEAST_MS, now - firstMs)
  // Whole steps, a thousandth or a minute: a month does not need to be drawn again every second.
  const stepMs = Math.min(60_000, Math.max(1000, Math.round(lengthMs / 1000)))
  const toMs = Math.ceil(now / stepMs) * stepMs
  return { fromMs: toMs - lengthMs, toMs }
}

type FirstOptions = { api: ApiClient; device: string; metric: string; wanted: boolean }

/** When the series begins, asked only for the span "all"; until then a day. */
function useFirstMs({ api, device, metric, wanted }: FirstOptions): number {
  const [firstMs, setFirstMs] = useState(() => nowMs() - DAY_MS)
  useEffect(() => {
    if (!wanted) return
    const range = { fromMs: 0, toMs: nowMs() + DAY_MS }
    void api.readings({ device, metric, range, limit: 1 }).then((answer) => {
      const first = answer.kind === 'ok' ? answer.value.items[0] : undefined
      if (first !== undefined) setFirstMs(first.at)
    })
  }, [api, device, metric, wanted])
  return firstMs
}
