/** What a client of the live feed may say, checked. */
import { isDeviceId } from '../../devices/device.ts'
import { LIMITS } from '../limits.ts'
import { invalid, Refusal } from '../problem.ts'
import { parseStrictJsonText } from '../strict-json.ts'
import type { Interest } from './subscription.ts'

export type CheckedMessage =
  | Readonly<{ type: 'hello'; key: string }>
  | Readonly<{ type: 'subscribe'; interest: Interest }>
  | Readonly<{ type: 'unsubscribe'; id: string }>

/** A refusal of a message, with the id of the subscription it was about where it had a good one. */
export class MessageRefusal extends Error {
  readonly refusal: Refusal
  readonly id: string | undefined

  constructor(refusal: Refusal, id: string | undefined) {
    super(refusal.message)
    this.refusal = refusal
    this.id = id
  }
}

type Fields = Readonly<Record<string, unknown>>

/** Throws a MessageRefusal. */
export function parseClientMessage(text: string | undefined): CheckedMessage {
  let id: string | undefined
  try {
    if (text === undefined) throw invalid('Messages are JSON texts; this one is binary.')
    const fields = fieldsOf(parseStrictJsonText(text))
    if (fields['type'] !== 'hello') id = idOf(fields)
    return checked(fields, id)
  } catch (error) {
    if (error instanceof Refusal) throw new MessageRefusal(error, id)
    throw error
  }
}

function checked(fields: Fields, id = ''): CheckedMessage {
  switch (fields['type']) {
    case 'hello': {
      allowOnly(fields, ['type', 'key'])
      const key = fields['key']
      if (typeof key !== 'string') throw invalid('key must be a string.', 'key')
      return { type: 'hello', key }
    }
    case 'subscribe':
      allowOnly(fields, ['type', 'id', 'stream', 'devices', 'metrics', 'resolution'])
      return { type: 'subscribe', interest: interestOf(fields, id) }
    case 'unsubscribe':
      allowOnly(fields, ['type', 'id'])
      return { type: 'unsubscribe', id }
    default:
      throw invalid('type must be hello, subscribe or unsubscribe.', 'type')
  }
}

function interestOf(fields: Fields, id: string): Interest {
  const stream = fields['stream']
  if (stream === 'alerts') throw invalid('The stream alerts is not offered yet.', 'stream')
  if (stream !== 'readings' && stream !== 'rollups') {
    throw invalid('stream must be readings or rollups.', 'stream')
  }
  const devices = namesOf(fields, 'devices', isDeviceId)
  const metrics = namesOf(fields, 'metrics', isMetric)
  return { id, stream, devices, metrics, resolution: resolutionOf(fields, stream) }
}

function resolutionOf(fields: Fields, stream: string): '10s' | '1m' | undefined {
  const resolution = fields['resolution']
  if (resolution === undefined) return undefined
  if (stream !== 'rollups') throw invalid('Only rollups have a resolution.', 'resolution')
  if (resolution === '10s' || resolution === '1m') return resolution
  throw invalid('resolution must be 10s or 1m.', 'resolution')
}

function namesOf(
  fields: Fields,
  field: 'devices' | 'metrics',
  isName: (text: string) => boolean,
): ReadonlySet<string> | '*' {
  const names: unknown = fields[field] ?? []
  if (!Array.isArray(names)) throw invalid(`${field} must be a list of names.`, field)
  if (names.length === 0 || (names.length === 1 && names[0] === '*')) return '*'
  if (names.length > LIMITS.liveNamesPerSubscriptionMax) {
    const text = `A subscription names at most ${LIMITS.liveNamesPerSubscriptionMax} ${field}.`
    throw new Refusal('limit_exceeded', text, { field })
  }
  const good = new Set<string>()
  for (const name of names) {
    if (typeof name !== 'string' || !isName(name)) {
      throw invalid(`${field} has an entry that cannot be a name.`, field)
    }
    good.add(name)
  }
  return good
}

const isMetric = (text: string): boolean =>
  text !== '' && text.length <= LIMITS.metricCharsMax && !text.includes('\0')

function idOf(fields: Fields): string {
  const id = fields['id']
  if (typeof id === 'string' && id !== '' && id.length <= LIMITS.liveSubscriptionIdCharsMax) {
    return id
  }
  throw invalid(`id must be a text of 1 to ${LIMITS.liveSubscriptionIdCharsMax} characters.`, 'id')
}

function fieldsOf(value: unknown): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Fields // Checked above: an object with any members.
  }
  throw invalid('A message is a JSON object.')
}

function allowOnly(fields: Fields, known: readonly string[]): void {
  for (const name of Object.keys(fields)) {
    if (!known.includes(name)) throw invalid(`There is no field ${JSON.stringify(name)}.`, name)
  }
}
