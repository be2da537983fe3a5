import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LogFields, Logger } from '../platform/observe/logger.ts'
import { DeviceLanes } from './device-lanes.ts'
import { RefusalLog } from './refusal-log.ts'

function lineKeeper(): { lines: LogFields[]; logger: Logger } {
  const lines: LogFields[] = []
  const unexpected = () => assert.fail('only warnings are expected')
  const logger: Logger = {
    debug: unexpected,
    info: unexpected,
    warn: (_message, fields = {}) => void lines.push(fields),
    error: unexpected,
    with: () => logger,
  }
  return { lines, logger }
}

const refusal = (receivedAtMs: number) =>
  ({ protocol: 'mqtt', reason: 'payload_not_json', detail: 'no', receivedAtMs }) as const

test('a device whose messages are refused is told of once a minute, with the number since', () => {
  const { lines, logger } = lineKeeper()
  const log = new RefusalLog(logger)
  const lane = new DeviceLanes(1).open('demo', 'boiler')
  for (const atMs of [0, 1_000, 59_999, 60_000]) log.refused(lane, refusal(atMs))
  assert.deepEqual(
    lines.map(({ device, reason, moreSinceTheLastLine }) => [device, reason, moreSinceTheLastLine]),
    [
      ['boiler', 'payload_not_json', undefined],
      ['boiler', 'payload_not_json', 2],
    ],
  )
})

test('a fleet that is refused all at once does not flood the log, and is told of again later', () => {
  const { lines, logger } = lineKeeper()
  const log = new RefusalLog(logger)
  const lanes = new DeviceLanes(1)
  for (let n = 0; n < 1_000; n += 1) log.refused(lanes.open('demo', `d${n}`), refusal(5))
  assert.equal(lines.length, 30)
  log.refused(lanes.open('demo', 'd999'), refusal(60_005))
  assert.equal(lines.at(-1)?.['device'], 'd999')
})
