/** The JSON Schemas of what goes in and out: contract/resources.ts, said to programs. */
import {
  CLOCK_POLICIES,
  DEVICE_ID_PATTERN,
  DEVICE_NAME_CHARS_MAX,
  DEVICE_STATES,
  STATE_REASON_CHARS_MAX,
} from '../devices/device.ts'
import { CREDENTIAL_NAME_PATTERN } from '../devices/credential-store.ts'
import { API_KEY_NAME_PATTERN, OVERLAP_SECONDS_MAX } from '../devices/access/api-key-store.ts'
import { PERMISSIONS, ROLES } from '../devices/access/permission.ts'
import { FAILURE_CODES } from '../platform/failure-codes.ts'
import { QUANTILE_RELATIVE_ERROR } from '../schemas/quantile-sketch.ts'
import { EXPLANATION_VERDICTS } from './contract/explanation.ts'
import { RESOLUTIONS, SERIES_KINDS, STORED_RESOLUTIONS } from './contract/resources.ts'
import type { Definitions, JsonSchema } from './json-schema.ts'
import { LIMITS } from './limits.ts'

export const ref = (name: string): JsonSchema => ({ $ref: `#/components/schemas/${name}` })

const TIME: JsonSchema = { type: 'integer', description: 'Milliseconds since 1970 UTC.' }
const NUMBER_OR_NULL: JsonSchema = { type: ['number', 'null'] }
const NEXT: JsonSchema = {
  type: ['string', 'null'],
  description: 'The cursor of the next page; null on the last one.',
}

const object = <P extends Readonly<Record<string, JsonSchema>>>(
  properties: P,
  optional: readonly string[] = [],
) =>
  ({
    type: 'object',
    properties,
    required: Object.keys(properties).filter((name) => !optional.includes(name)),
    additionalProperties: false,
  }) as const satisfies JsonSchema

const listOf = (items: JsonSchema): JsonSchema => ({ type: 'array', items })

const DEVICE_ID: JsonSchema = { type: 'string', pattern: DEVICE_ID_PATTERN }
// U+0000 cannot be stored, other control characters cannot be read.
const DEVICE_NAME: JsonSchema = {
  type: 'string',
  minLength: 1,
  maxLength: DEVICE_NAME_CHARS_MAX,
  pattern: '^[^\\u0000-\\u001f\\u007f]*$',
}
const CLOCK_POLICY: JsonSchema = {
  type: 'string',
  enum: CLOCK_POLICIES,
  description:
    'Of messages whose newest time is more than 60 s ahead of our clock, or too old to be taken: ' +
    'reject (the default): they are refused. restamp: each is moved as a whole, its newest sample ' +
    'to the time it was received; readings then say what the device claimed, as `deviceAt`.',
}
const DEVICE = {
  id: DEVICE_ID,
  name: { type: 'string' },
  state: { type: 'string', enum: DEVICE_STATES },
  stateReason: { type: 'string', description: 'Empty where nobody said why.' },
  stateBy: { type: 'string', description: '`key:NAME`, or `system`.' },
  stateAt: TIME,
  clockPolicy: CLOCK_POLICY,
  createdAt: TIME,
  uid: {
    type: 'string',
    format: 'uuid',
    description: 'Tells apart devices that had one id one after the other.',
  },
  version: { type: 'integer', minimum: 1, description: 'Counts changes; also the ETag.' },
} as const satisfies Record<string, JsonSchema>
const READING = {
  at: TIME,
  value: ref('Value'),
  deviceAt: {
    ...TIME,
    description: 'The time the device claimed, where its message was restamped; absent otherwise.',
  },
} as const satisfies Record<string, JsonSchema>
const LATEST_BY_METRIC: JsonSchema = { type: 'object', additionalProperties: ref('LatestValue') }

const ROLLUP = object(
  {
    start: TIME,
    count: { type: 'integer', minimum: 1 },
    sum: NUMBER_OR_NULL,
    min: NUMBER_OR_NULL,
    max: NUMBER_OR_NULL,
    mean: NUMBER_OR_NULL,
    stddev: { ...NUMBER_OR_NULL, description: 'Population: of these samples alone.' },
    timeWeightedMean: {
      ...NUMBER_OR_NULL,
      description:
        'Over the time from the first sample to the last, with straight lines between samples. ' +
        'Of a single sample, its value.',
    },
    first: ref('Value'),
    last: ref('Value'),
    percentiles: {
      type: 'object',
      additionalProperties: NUMBER_OR_NULL,
      description:
        'By percentile. Of n values the p-th is the ceil(p/100 n)th, found in a sketch and wrong ' +
        'by at most `percentileRelativeError` of itself. Null for texts, and where samples are ' +
        'older than the sketches.',
    },
    completeness: {
      type: 'number',
      minimum: 0,
      maximum: 1,
      description:
        'Count as a share of `expected.samplesPerWindow`, at most 1. Of a window that is not ' +
        'final, the share so far of all that the whole window should get.',
    },
    final: { type: 'boolean', description: 'Event time has passed the end of the window.' },
    correctedAt: {
      ...TIME,
      description: 'When a late sample last changed the window after it was final; 0: never.',
    },
    version: {
      type: 'integer',
      description: 'Of two states of one window the higher version is right.',
    },
  },
  ['percentiles', 'completeness'],
)
const ROLLUPS = object(
  {
    resolution: { type: 'string', enum: RESOLUTIONS },
    items: listOf(ref('Rollup')),
    kind: {
      type: 'string',
      enum: SERIES_KINDS,
      description: 'Of the series that answered; absent where nothing was ever stored.',
    },
    percentileRelativeError: {
      type: 'number',
      const: QUANTILE_RELATIVE_ERROR,
      description: 'The largest error of a percentile, as a share of its value.',
    },
    expected: {
      ...object({
        intervalMs: { type: 'integer', minimum: 1 },
        samplesPerWindow: { type: 'number', description: 'Length of a window / intervalMs.' },
      }),
      description: 'What completeness is measured against. A window without samples is absent.',
    },
    expiredBefore: {
      ...TIME,
      description:
        'Windows that start before this have expired at this resolution; a coarser one is kept ' +
        'for longer. There only when the span begins before it.',
    },
  },
  ['kind', 'percentileRelativeError', 'expected', 'expiredBefore'],
)

const EXPLANATION = object({
  device: DEVICE_ID,
  metric: { type: 'string' },
  kind: {
    oneOf: [{ type: 'string', enum: SERIES_KINDS }, { type: 'null' }],
    description: 'Null: nothing was ever stored of this metric.',
  },
  resolution: { type: 'string', enum: STORED_RESOLUTIONS },
  start: { ...TIME, description: 'Where the window begins that holds the time asked for.' },
  end: TIME,
  verdict: {
    type: 'string',
    enum: EXPLANATION_VERDICTS,
    description: 'Whether the newest stored row is what the samples add up to, or why not.',
  },
  detail: { type: 'string', description: 'The verdict as a sentence.' },
  checks: {
    ...listOf(ref('FieldCheck')),
    description: 'Each field of the newest stored row, and the same folded again from the samples.',
  },
  revisions: {
    ...listOf(ref('StoredRevision')),
    description: 'The rows in the table now, newest first, at most 100. Older ones are cleared.',
  },
  sampleCount: {
    type: ['integer', 'null'],
    description: 'Samples of the whole window; null where they are too many to be folded again.',
  },
  samples: listOf(ref('ExplainedSample')),
  next: NEXT,
})
const VALUE_OR_NULL: JsonSchema = { type: ['number', 'boolean', 'string', 'null'] }
const PLACE = { partition: { type: 'integer' }, offset: { type: 'integer' } } as const
const REVISION = object(
  {
    ...ROLLUP.properties,
    firstAt: TIME,
    lastAt: TIME,
    ...PLACE,
    offset: { type: 'integer', description: 'The row holds every sample up to this offset.' },
    topicEpoch: { type: 'integer' },
    foldEpoch: { type: 'integer', description: 'Which fold made it.' },
  },
  ['percentiles', 'completeness'],
)
const LOST_DELIVERY = object({ ...PLACE, value: ref('Value') })
const EXPLAINED_SAMPLE = object(
  {
    ...READING,
    ...PLACE,
    stamped: { type: 'boolean', description: 'False: it carries the time it was received.' },
    lost: {
      ...listOf(LOST_DELIVERY),
      description: 'Other deliveries for the same time, still in the table: the earliest counts.',
    },
  },
  ['deviceAt', 'lost'],
)

const ROLE: JsonSchema = { type: 'string', enum: ROLES }
const KEY_NAME: JsonSchema = { type: 'string', pattern: API_KEY_NAME_PATTERN }
const SCOPES: JsonSchema = {
  ...listOf({ type: 'string', enum: PERMISSIONS }),
  uniqueItems: true,
  description: 'Left out: all that the role has. Naming more than the role has gives no more.',
}
const CHANGE_SIDE: JsonSchema = { description: 'What was set; absent where there was nothing.' }

const COUNT: JsonSchema = { type: 'integer', minimum: 0 }
const counts = <N extends string>(...names: readonly N[]) =>
  Object.fromEntries(names.map((name) => [name, COUNT])) as Record<N, JsonSchema>

/** contract/audit.ts says what each of them is. */
const AUDIT_FIGURES = {
  ...counts('records', 'unreadable', 'produced', 'stored', 'duplicates', 'refused', 'missing'),
  ...counts('invented', 'altered', 'lettersMissing', 'corrected', 'seriesChecked'),
  ...counts('windowsChecked', 'windowsWrong', 'numbersPresent', 'numbersMissing', 'findingCount'),
  deadLetters: { type: 'object', additionalProperties: COUNT, description: 'By reason.' },
} as const satisfies Record<string, JsonSchema>
const AUDIT_HOUR = {
  hour: TIME,
  auditedAt: TIME,
  whole: { type: 'boolean', description: 'False where the log had lost some of the hour.' },
  findings: { ...listOf({ type: 'string' }), description: 'The first ones, as sentences.' },
} as const satisfies Record<string, JsonSchema>

/** A time that a client sets. */
const MOMENT: JsonSchema = { ...TIME, minimum: 0, maximum: LIMITS.timeMsMax }
/** Of keys and of credentials. */
const ROTATION: JsonSchema = object(
  { overlapSeconds: { type: 'integer', minimum: 0, maximum: OVERLAP_SECONDS_MAX } },
  ['overlapSeconds'],
)
const LAST_SECRET = {
  lastUsedAt: { ...TIME, description: 'To within a minute; absent: never.' },
  formerUntil: { ...TIME, description: 'Until then the secret before the last one works on.' },
} as const satisfies Record<string, JsonSchema>

export const SCHEMAS: Definitions = {
  Value: {
    type: ['number', 'boolean', 'string'],
    description: 'In the type that the device sent.',
  },
  NewDevice: object({ id: DEVICE_ID, name: DEVICE_NAME, clockPolicy: CLOCK_POLICY }, [
    'name',
    'clockPolicy',
  ]),
  DeviceChange: object({ name: DEVICE_NAME, clockPolicy: CLOCK_POLICY }, ['name', 'clockPolicy']),
  StateChange: object({
    state: { type: 'string', enum: DEVICE_STATES },
    reason: { ...DEVICE_NAME, maxLength: STATE_REASON_CHARS_MAX },
  }),
  Device: object(DEVICE),
  CreatedDevice: object({ device: ref('Device'), credential: ref('Credential') }),
  Credential: {
    ...object({ username: { type: 'string' }, secret: { type: 'string' } }),
    description: 'What the device connects with. The secret is shown in this answer only.',
  },
  ListedDevice: object({ ...DEVICE, latest: LATEST_BY_METRIC }, ['latest']),
  DeviceList: object(
    {
      items: listOf(ref('ListedDevice')),
      next: NEXT,
      total: {
        type: 'integer',
        minimum: 0,
        description: 'Matches on all pages; absent where there are too many to count.',
      },
    },
    ['total'],
  ),
  NewCredential: object(
    {
      name: { type: 'string', pattern: CREDENTIAL_NAME_PATTERN },
      notBefore: MOMENT,
      notAfter: MOMENT,
    },
    ['notBefore', 'notAfter'],
  ),
  DeviceCredential: object(
    {
      name: { type: 'string' },
      username: { type: 'string' },
      createdAt: TIME,
      notBefore: { ...TIME, description: 'It works from then on; absent: from the beginning.' },
      notAfter: { ...TIME, description: 'It works until then; absent: without an end.' },
      ...LAST_SECRET,
    },
    ['notBefore', 'notAfter', ...Object.keys(LAST_SECRET)],
  ),
  CredentialRotation: ROTATION,
  ShownCredential: {
    ...object({ credential: ref('DeviceCredential'), secret: { type: 'string' } }),
    description: 'The secret is shown in this answer only.',
  },
  CredentialList: object({ items: listOf(ref('DeviceCredential')) }),
  NewKey: object(
    {
      name: KEY_NAME,
      role: ROLE,
      scopes: SCOPES,
      expiresAt: MOMENT,
    },
    [...['role', 'scopes', 'expiresAt']],
  ),
  Key: object(
    {
      name: { type: 'string' },
      role: ROLE,
      scopes: SCOPES,
      createdAt: TIME,
      expiresAt: { ...TIME, description: 'Absent: it does not expire.' },
      ...LAST_SECRET,
    },
    ['scopes', 'expiresAt', ...Object.keys(LAST_SECRET)],
  ),
  KeyRotation: ROTATION,
  ShownKey: {
    ...object({ key: ref('Key'), secret: { type: 'string' } }),
    description: 'The secret is shown in this answer only.',
  },
  KeyList: object({ items: listOf(ref('Key')), next: NEXT }),
  Change: object(
    {
      id: { type: 'integer' },
      at: TIME,
      actor: { type: 'string', description: '`key:NAME`, or `system`.' },
      address: { type: 'string' },
      action: { type: 'string' },
      subject: { type: 'string' },
      before: CHANGE_SIDE,
      after: CHANGE_SIDE,
    },
    ['before', 'after'],
  ),
  ChangeList: object({ items: listOf(ref('Change')), next: NEXT }),
  About: object(
    {
      version: { type: 'string', description: 'Of the program, not of this document.' },
      mqttUrl: { type: 'string', format: 'uri', description: 'Where MQTT devices connect.' },
    },
    ['mqttUrl'],
  ),
  LatestValue: object(READING, ['deviceAt']),
  Latest: object({ device: DEVICE_ID, values: LATEST_BY_METRIC }),
  Reading: object(READING, ['deviceAt']),
  Readings: object({ items: listOf(ref('Reading')), next: NEXT }),
  Rollup: ROLLUP,
  Rollups: ROLLUPS,
  Explanation: EXPLANATION,
  FieldCheck: object({
    field: { type: 'string' },
    stored: VALUE_OR_NULL,
    folded: VALUE_OR_NULL,
    equal: { type: 'boolean', description: 'Sums may differ by what is lost in adding.' },
  }),
  StoredRevision: REVISION,
  ExplainedSample: EXPLAINED_SAMPLE,
  AuditHour: object({ ...AUDIT_HOUR, ...AUDIT_FIGURES }),
  AuditFigures: object(AUDIT_FIGURES),
  Audit: object({
    items: listOf(ref('AuditHour')),
    totals: ref('AuditFigures'),
    auditedTo: { type: ['integer', 'null'], description: 'Hours before it are audited.' },
  }),
  Problem: {
    type: 'object',
    description: 'RFC 9457.',
    properties: {
      type: { type: 'string', format: 'uri' },
      title: { type: 'string' },
      status: { type: 'integer' },
      code: { type: 'string', enum: Object.keys(FAILURE_CODES) },
      detail: { type: 'string' },
      retryAfterMs: { type: 'integer' },
      field: { type: 'string', description: 'The field or parameter it is about.' },
    },
    required: ['type', 'title', 'status', 'code', 'detail'],
  },
}
