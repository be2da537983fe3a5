/** One device in the fleet: who, what it last said, and how long ago. */
import type { Device } from '../../api/contract/resources.ts'
import { deviceRoute, formatRoute } from '../address.ts'
import { heardAt, type ValuesByMetric } from '../live/latest-values.ts'
import { Age } from '../say/moment.tsx'
import { PulseMark } from '../say/pulse-mark.tsx'
import { ValueText } from '../say/value-text.tsx'
import { shownPulse } from '../say/words.ts'

const METRICS_SHOWN = 5

type RowProps = {
  device: Device
  values: ValuesByMetric | undefined
  now: number
  toldUntilMs: number | undefined
}

export function DeviceRow({ device, values, now, toldUntilMs }: RowProps) {
  const at = heardAt(values)
  const metrics = Object.entries(values ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
  const hidden = metrics.length - METRICS_SHOWN
  return (
    <tr>
      <th scope="row">
        <a class="device-link" href={formatRoute(deviceRoute(device.id))} title={device.id}>
          <bdi>{device.name === '' ? device.id : device.name}</bdi>
        </a>
        {device.state === 'active' ? null : <span class="tag">{device.state}</span>}
        {device.name === '' || device.name === device.id ? null : (
          <bdi class="sub" title={device.id}>
            {device.id}
          </bdi>
        )}
      </th>
      <td>
        <div class="values">
          {metrics.slice(0, METRICS_SHOWN).map(([metric, latest]) => (
            <span key={metric} class="pair">
              <bdi class="metric">{metric}</bdi>{' '}
              <ValueText value={latest.value} digits={latest.digits} />
            </span>
          ))}
          {hidden > 0 ? <span class="muted">+{hidden} more</span> : null}
          {metrics.length === 0 ? <span class="muted">nothing yet</span> : null}
        </div>
      </td>
      <td class="heard">
        <PulseMark pulse={shownPulse(at, now, toldUntilMs)} />{' '}
        <span class="age">{at === undefined ? null : <Age at={at} now={now} />}</span>
      </td>
    </tr>
  )
}
