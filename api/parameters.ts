/** Parameters that endpoints of several subjects take. */
import { DEVICE_ID_PATTERN } from '../devices/device.ts'
import type { ParameterSpec } from './route.ts'

export const DEVICE_ID: ParameterSpec = {
  name: 'id',
  kind: 'text',
  required: true,
  pattern: DEVICE_ID_PATTERN,
  doc: 'The id of the device.',
}
export const CURSOR: ParameterSpec = {
  name: 'cursor',
  kind: 'text',
  doc: 'The `next` of the page before. The other parameters must stay as they were.',
}
export const FROM = {
  name: 'from',
  kind: 'time',
  defaultDoc: 'one hour before `to`',
  doc: 'Start of the span, itself included: ms since 1970 UTC, or RFC 3339.',
} as const satisfies ParameterSpec
export const TO = {
  name: 'to',
  kind: 'time',
  defaultDoc: 'now',
  doc: 'End of the span, itself excluded: ms since 1970 UTC, or RFC 3339.',
} as const satisfies ParameterSpec
export const limit = (max: number, standard: number): ParameterSpec => ({
  name: 'limit',
  kind: 'integer',
  min: 1,
  max,
  default: standard,
  doc: 'How many items a page has at most.',
})
