import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { helpText } from './help-text.ts'
import { editDistance, nearestName } from './nearest-name.ts'
import { envName, flagName } from './option-names.ts'
import type { OptionTable } from './options.ts'
import { readOptions } from './read-options.ts'

const TABLE = {
  mqttPort: { kind: 'integer', default: 1883, min: 1, max: 65_535, doc: 'Port.' },
  flushIntervalMs: {
    kind: 'integer',
    default: 100,
    min: 10,
    max: 1_000,
    unit: 'ms',
    doc: 'How often.',
  },
  kafkaBrokers: { kind: 'list', default: ['a:1'], doc: 'Brokers.' },
  color: { kind: 'switch', default: true, doc: 'Colours.' },
  logLevel: { kind: 'choice', choices: ['info', 'warn'], default: 'info', doc: 'Level.' },
  postgresUrl: { kind: 'text', secret: true, placeholder: 'postgres://…', doc: 'Database.' },
} as const satisfies OptionTable

const REQUIRED = { WEIR_POSTGRES_URL: 'postgres://db' }

function read(argv: readonly string[], env: Record<string, string> = REQUIRED) {
  return readOptions(TABLE, { argv, env })
}

function valuesOf(argv: readonly string[], env?: Record<string, string>) {
  const result = read(argv, env)
  assert.equal(result.kind, 'values', JSON.stringify(result))
  assert(result.kind === 'values')
  return result.values
}

function problemsOf(argv: readonly string[], env?: Record<string, string>) {
  const result = read(argv, env)
  assert(result.kind === 'problems', JSON.stringify(result))
  return result.problems
}

test('defaults hold where nothing is given', () => {
  assert.deepEqual(valuesOf([]), {
    mqttPort: 1883,
    flushIntervalMs: 100,
    kafkaBrokers: ['a:1'],
    color: true,
    logLevel: 'info',
    postgresUrl: 'postgres://db',
  })
})

test('a flag is given as --name value or --name=value and beats the environment', () => {
  const env = { ...REQUIRED, WEIR_MQTT_PORT: '1', WEIR_FLUSH_INTERVAL_MS: '20' }
  const values = valuesOf(['--mqtt-port', '2'], env)
  assert.equal(values.mqttPort, 2)
  assert.equal(values.flushIntervalMs, 20)
  assert.equal(valuesOf(['--mqtt-port=3'], env).mqttPort, 3)
  assert.equal(valuesOf(['--postgres-url=--odd=']).postgresUrl, '--odd=')
})

test('switches take --name, --no-name and a value', () => {
  assert.equal(valuesOf(['--no-color']).color, false)
  assert.equal(valuesOf(['--color'], { ...REQUIRED, WEIR_COLOR: 'off' }).color, true)
  assert.equal(valuesOf(['--color=no']).color, false)
  assert.equal(valuesOf([], { ...REQUIRED, WEIR_COLOR: '0' }).color, false)
})

test('lists are separated by commas', () => {
  assert.deepEqual(valuesOf(['--kafka-brokers', 'x:1, y:2,']).kafkaBrokers, ['x:1', 'y:2'])
  assert.deepEqual(problemsOf(['--kafka-brokers', ',']), [
    '--kafka-brokers (WEIR_KAFKA_BROKERS) needs at least one item, separated by commas.',
  ])
})

test('an empty environment variable counts as absent', () => {
  assert.equal(valuesOf([], { ...REQUIRED, WEIR_MQTT_PORT: '' }).mqttPort, 1883)
})

test('every problem is told at once, each naming its option', () => {
  assert.deepEqual(problemsOf(['--flush-intervall-ms', '5', '--log-level', 'loud', 'stray'], {}), [
    '--flush-intervall-ms is not an option: did you mean --flush-interval-ms?',
    '"stray" is not expected here: options start with two dashes.',
    '--log-level (WEIR_LOG_LEVEL) must be one of info, warn, not "loud".',
    '--postgres-url (WEIR_POSTGRES_URL) is required, such as postgres://….',
  ])
})

test('bounds and unit are in the sentence', () => {
  for (const bad of ['9', '1001', '1.5', '1e2', '', ' 5', '0x10', '9'.repeat(30)]) {
    assert.deepEqual(problemsOf([`--flush-interval-ms=${bad}`]), [
      '--flush-interval-ms (WEIR_FLUSH_INTERVAL_MS) must be a whole number from 10 to 1000 ms, ' +
        `not "${bad}".`,
    ])
  }
})

test('a flag without its value, or given twice, is a problem', () => {
  assert.deepEqual(problemsOf(['--mqtt-port', '--no-color']), ['--mqtt-port needs a value.'])
  assert.deepEqual(problemsOf(['--mqtt-port']), ['--mqtt-port needs a value.'])
  assert.deepEqual(problemsOf(['--color', '--no-color']), ['--no-color is given more than once.'])
})

test('names from Object.prototype are not options', () => {
  assert.match(problemsOf(['--constructor', 'x'])[0] ?? '', /--constructor is not an option/)
  assert.match(problemsOf(['--__proto__=x'])[0] ?? '', /--__proto__ is not an option/)
})

test('property: an integer within bounds is read back, from flag and environment alike', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 65_535 }), fc.boolean(), (port, byFlag) => {
      const values = byFlag
        ? valuesOf([`--mqtt-port=${port}`])
        : valuesOf([], { ...REQUIRED, WEIR_MQTT_PORT: `${port}` })
      assert.equal(values.mqttPort, port)
    }),
  )
})

test('property: any command line gives values or sentences, and never throws', () => {
  const argument = fc.oneof(
    fc.string(),
    fc.constantFrom('--mqtt-port', '--no-color', '--color=x', '--', '='),
  )
  fc.assert(
    fc.property(fc.array(argument, { maxLength: 6 }), (argv) => {
      const result = read(argv)
      if (result.kind === 'problems') {
        for (const problem of result.problems) assert.match(problem, /[.?]$/)
      }
    }),
  )
})

test('names are spelled for the command line and the environment', () => {
  assert.equal(flagName('flushIntervalMs'), '--flush-interval-ms')
  assert.equal(envName('flushIntervalMs'), 'WEIR_FLUSH_INTERVAL_MS')
})

test('the nearest name is close, or there is none', () => {
  assert.equal(nearestName('conectors', ['connectors', 'pipeline']), 'connectors')
  assert.equal(nearestName('xyz', ['connectors', 'pipeline']), undefined)
})

test('property: edit distance is a metric', () => {
  const word = fc.string({ maxLength: 8 })
  fc.assert(
    fc.property(word, word, word, (a, b, c) => {
      assert.equal(editDistance(a, a), 0)
      assert.equal(editDistance(a, b), editDistance(b, a))
      assert(editDistance(a, c) <= editDistance(a, b) + editDistance(b, c))
      assert(editDistance(a, b) >= Math.abs(a.length - b.length))
    }),
  )
})

test('help shows flag, default, bounds, unit and environment name, and no secret default', () => {
  const page = helpText({ name: 'sample', summary: 'Does it.', options: TABLE })
  assert.match(page, /^weir sample: Does it\.\n/)
  assert.match(page, /--flush-interval-ms MS\n\s+How often\. Default 100, from 10 to 1000 ms\./)
  assert.match(page, /--color \| --no-color/)
  assert.match(page, /Database\. Required\. \[WEIR_POSTGRES_URL\]/)
})
