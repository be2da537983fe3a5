/** The last value of every metric; picking one shows it on the chart. */
import { type DeviceRoute, formatRoute } from '../address.ts'
import type { ValuesByMetric } from '../live/latest-values.ts'
import { Age } from '../say/moment.tsx'
import { ValueText } from '../say/value-text.tsx'
import { useNow } from '../shell/clock-tick.ts'
import type { Go } from '../shell/navigation.ts'

type LastValuesProps = { route: DeviceRoute; values: ValuesByMetric; go: Go }

export function LastValues({ route, values, go }: LastValuesProps) {
  const now = useNow(1000)
  const metrics = Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1))
  return (
    <nav class="panel last" aria-label="Metrics and their last values">
      <h2>Last values</h2>
      <ul>
        {metrics.map(([metric, { value, at, digits }]) => (
          <li key={metric}>
            <a
              href={formatRoute({ ...route, metric })}
              aria-current={metric === route.metric ? 'true' : undefined}
              onClick={(event) => {
                if (event.ctrlKey || event.metaKey || event.shiftKey) return
                event.preventDefault()
                go({ ...route, metric })
              }}
            >
              <bdi class="metric" title={metric}>
                {metric}
              </bdi>
              <ValueText value={value} digits={digits} />
              <span class="muted age">
                <Age at={at} now={now} />
              </span>
            </a>
          </li>
        ))}
      </ul>
    </nav>
  )
}
