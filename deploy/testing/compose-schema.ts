/**
 * The part of the Compose specification that docker-compose.yml uses, as a JSON schema that is
 * closed: an element that is not here is refused, whether it is mistyped or only new to us. It is
 * written after the text of the specification (elements `services`, `volumes`, extensions `x-`),
 * and stricter: an image has a version, a health check has its times.
 */
const text = { type: 'string', minLength: 1 } as const
const texts = { type: 'array', items: text, minItems: 1 } as const
const duration = { type: 'string', pattern: '^(?:\\d+(?:ms|s|m|h))+$' } as const

function closed(properties: Readonly<Record<string, unknown>>, required: readonly string[] = []) {
  return { type: 'object', properties, required, additionalProperties: false }
}

function named(value: unknown) {
  return { type: 'object', additionalProperties: false, patternProperties: { '^[\\w.-]+$': value } }
}

const scalar = { type: ['string', 'number', 'boolean', 'null'] } as const

const healthcheck = {
  oneOf: [
    closed({ disable: { const: true } }, ['disable']),
    closed(
      {
        test: { type: 'array', minItems: 2, items: text, contains: { enum: ['CMD', 'CMD-SHELL'] } },
        interval: duration,
        timeout: duration,
        retries: { type: 'integer', minimum: 1 },
        start_period: duration,
      },
      ['test', 'interval', 'timeout', 'retries'],
    ),
  ],
}

const CONDITIONS = ['service_started', 'service_healthy', 'service_completed_successfully']

const service = closed(
  {
    // A version is part of the name: `latest` is another program every month.
    image: { type: 'string', pattern: '^[\\w./-]+:(?!latest$)[\\w.${}:-]+$' },
    build: closed({ context: text, dockerfile: text, target: text, args: named(scalar) }, [
      'context',
    ]),
    command: texts,
    entrypoint: texts,
    environment: named(scalar),
    ports: { type: 'array', items: { type: 'string', pattern: '^[\\d.:]+(?:/udp)?$' } },
    volumes: texts,
    depends_on: named(closed({ condition: { enum: CONDITIONS } }, ['condition'])),
    healthcheck,
    restart: { enum: ['no', 'always', 'on-failure', 'unless-stopped'] },
    stop_grace_period: duration,
    ulimits: named(
      closed({ soft: { type: 'integer' }, hard: { type: 'integer' } }, ['soft', 'hard']),
    ),
  },
  ['image', 'restart'],
)

export const COMPOSE_SCHEMA = {
  type: 'object',
  properties: { name: text, services: named(service), volumes: named({ type: 'null' }) },
  required: ['name', 'services'],
  additionalProperties: false,
  patternProperties: { '^x-': {} },
}
