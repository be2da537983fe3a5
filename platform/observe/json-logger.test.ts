import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Failure } from '../failure.ts'
import { createLogger } from './json-logger.ts'
import type { LogFields, LogLevel } from './logger.ts'

const CANARY = 'canary-91c2'
const clock = { nowMs: () => 1_700_000_000_123, monotonicMs: () => 0 }

function logging(format: 'json' | 'text', level: LogLevel = 'info') {
  const lines: string[] = []
  return {
    lines,
    logger: createLogger({ level, format, clock, write: (line) => lines.push(line) }),
  }
}

function jsonOf(fields: LogFields, message = 'm'): Record<string, unknown> {
  const { lines, logger } = logging('json')
  logger.info(message, fields)
  assert.equal(lines.length, 1)
  return JSON.parse(lines[0] ?? '')
}

test('a line is one JSON object with time, level, message and fields', () => {
  assert.deepEqual(jsonOf({ partition: 3, offset: 7n }), {
    time: '2023-11-14T22:13:20.123Z',
    level: 'info',
    message: 'm',
    partition: 3,
    offset: '7',
  })
})

test('lines below the level are not written', () => {
  const { lines, logger } = logging('json', 'warn')
  logger.debug('a')
  logger.info('b')
  logger.warn('c')
  logger.error('d')
  assert.equal(lines.length, 2)
})

test('with() adds fields to every line, and a field cannot disguise level or time', () => {
  const { lines, logger } = logging('json')
  logger.with({ role: 'api' }).with({ level: 'debug', time: 'never' }).error('x')
  const line = JSON.parse(lines[0] ?? '')
  assert.equal(line.role, 'api')
  assert.equal(line.level, 'error')
  assert.equal(line.time, '2023-11-14T22:13:20.123Z')
})

test('text lines are short, and quote what has spaces', () => {
  const { lines, logger } = logging('text')
  logger.warn('slow', { tookMs: 5, why: 'far away', host: 'h:1' })
  assert.deepEqual(lines, ['22:13:20.123 WARN slow tookMs=5 why="far away" host=h:1\n'])
})

const SECRET_FIELDS = [
  'password',
  'clickhousePassword',
  'secret',
  'client_secret',
  'TOKEN',
  'accessToken',
  'Authorization',
  'set-cookie',
  'apiKey',
  'x-api-key',
  'privateKey',
]
for (const format of ['json', 'text'] as const) {
  test(`no secret reaches a ${format} line`, () => {
    const { lines, logger } = logging(format)
    for (const name of SECRET_FIELDS) {
      logger.info('x', { [name]: CANARY })
      logger.info('x', { nested: [{ [name]: CANARY }] })
      logger.info('x', { nested: { deeper: new Map([[name, CANARY]]) } })
    }
    logger.info(`connecting to postgres://weir:${CANARY}@db:5432/weir`)
    logger.error('x', { error: new Error(`no route to http://u:${CANARY}@h/`) })
    logger.error('x', { error: new Error('x', { cause: { password: CANARY } }) })
    assert.doesNotMatch(lines.join(''), new RegExp(CANARY))
    assert.match(lines.join(''), /postgres:\/\/weir:\[hidden\]@db:5432/)
  })
}

test('errors keep name, code, message, stack and cause; a Failure needs no stack', () => {
  const { error } = jsonOf({ error: new Error('outer', { cause: new TypeError('inner') }) })
  assert.match(JSON.stringify(error), /"message":"outer".*json-logger\.test.*"message":"inner"/)
  assert.deepEqual(jsonOf({ error: new Failure('unavailable', 'Kafka is away.') })['error'], {
    name: 'Failure',
    code: 'unavailable',
    message: 'Kafka is away.',
  })
})

test('bytes, long texts, long lists and circles are bounded', () => {
  const circle: Record<string, unknown> = {}
  circle['self'] = circle
  const line = JSON.stringify(
    jsonOf({
      bytes: Buffer.from(CANARY),
      long: 'x'.repeat(1e6),
      many: Array.from({ length: 1e5 }, () => 1),
      circle,
    }),
  )
  assert(line.length < 12_000, `${line.length}`)
  assert.match(line, /\[11 bytes\]/)
})

test('property: any fields make one line that parses', () => {
  fc.assert(
    fc.property(fc.string(), fc.dictionary(fc.string(), fc.anything()), (message, fields) => {
      for (const format of ['json', 'text'] as const) {
        const { lines, logger } = logging(format)
        logger.info(message, fields)
        assert.equal(lines.length, 1)
        if (format === 'json') JSON.parse(lines[0] ?? '')
      }
    }),
  )
})
