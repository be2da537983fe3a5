/** Names with control characters in the report of an audit. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reportText } from './audit-report.ts'
import { emptyTally } from './hour-tally.ts'

test('a report prints no control character of a name, and shows which it was', () => {
  const tenant = 'ac\u001b[2Jme'
  const tally = { ...emptyTally(tenant, 0), deadLetters: new Map([['\u009bx', 1]]) }
  const cut = {
    ...{ fromMs: 0, toMs: 1, hoursMs: [0], partitions: new Map() },
    ...{ openRecords: 0, truncatedHours: [] },
  }
  const text = 'the row of d\r\n\u202em is wrong'
  const finding = { kind: 'sample_altered', tenant, hourMs: 0, text } as const
  const report = reportText({ cut, tallies: [tally], findings: [finding], findingCount: 1 })
  // oxlint-disable-next-line no-control-regex
  assert.doesNotMatch(report, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/)
  assert.match(report, /ac\\u001b\[2Jme: the row of d\\u000d\\u000a\\u202em is wrong\.\n/)
  assert.match(report, /Dead letters: 1 \\u009bx\.\n/)
})
