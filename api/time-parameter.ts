/** Times as clients write them: integer milliseconds since 1970 UTC, or RFC 3339. */
import { LIMITS } from './limits.ts'
import { invalid } from './problem.ts'

const INTEGER = /^(?:0|[1-9]\d{0,15})$/
/** RFC 3339 §5.6, with a zone; a space may stand for the T, as its note allows. */
const RFC_3339 =
  /^(\d{4}-\d{2}-(\d{2}))[Tt ](\d{2}):(\d{2}):(\d{2})(\.\d+)?([Zz]|([+-])(\d{2}):(\d{2}))$/

/** Milliseconds since 1970 UTC, or a Refusal that names the parameter. */
export function parseTimeMs(name: string, text: string): number {
  const ms = INTEGER.test(text) ? Number(text) : rfc3339Ms(text)
  if (ms === undefined) {
    throw invalid(
      `${name} must be milliseconds since 1970 UTC, or a time as RFC 3339 has it.`,
      name,
    )
  }
  if (ms < 0 || ms > LIMITS.timeMsMax) {
    throw invalid(`${name} must be from 0 to ${LIMITS.timeMsMax}.`, name)
  }
  return ms
}

function rfc3339Ms(text: string): number | undefined {
  const match = RFC_3339.exec(text)
  if (match === null) return undefined
  const [, date = '', day = '', hour = '', minute = '', second = '', fraction = '', zone = ''] =
    match
  // Date.parse rolls 31 February over into March; a day that does not exist is refused here.
  const midnightMs = Date.parse(`${date}T00:00:00Z`)
  if (Number.isNaN(midnightMs) || new Date(midnightMs).getUTCDate() !== Number(day))
    return undefined
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return undefined
  const clockMs = (Number(hour) * 3600 + Number(minute) * 60 + Number(second)) * 1000
  const fractionMs = fraction === '' ? 0 : Math.floor(Number(`0${fraction}`) * 1000 + 1e-6)
  const shiftMs = shiftOf(zone)
  return shiftMs === undefined ? undefined : midnightMs + clockMs + fractionMs - shiftMs
}

function shiftOf(zone: string): number | undefined {
  if (zone === 'Z' || zone === 'z') return 0
  const hours = Number(zone.slice(1, 3))
  const minutes = Number(zone.slice(4, 6))
  if (hours > 23 || minutes > 59) return undefined
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes) * 60_000
}
