import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Ajv } from 'ajv'
import { parse } from 'yaml'
import { MIGRATE_OPTIONS } from '../cli/migrate.ts'
import { COMMANDS } from '../cli/commands.ts'
import { envName } from '../platform/config/option-names.ts'
import { PROCESS_OPTIONS } from '../platform/config/shared-options.ts'
import { packageRoot } from '../platform/package-root.ts'
import { optionSections } from '../tools/reference-documents.ts'
import { COMPOSE_SCHEMA } from './testing/compose-schema.ts'

const ROOT = packageRoot(import.meta.dirname)
const text = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

type Service = Readonly<{
  image: string
  command?: readonly string[]
  environment?: Readonly<Record<string, unknown>>
  volumes?: readonly string[]
  depends_on?: Readonly<Record<string, Readonly<{ condition: string }>>>
  healthcheck?: Readonly<{ disable?: boolean }>
}>
type Compose = Readonly<{
  services: Readonly<Record<string, Service>>
  volumes: Readonly<Record<string, null>>
}>

const isCompose = new Ajv({ allErrors: true, allowUnionTypes: true }).compile<Compose>(
  COMPOSE_SCHEMA,
)

function compose(): Compose {
  const document: unknown = parse(text('docker-compose.yml'), { merge: true })
  assert(isCompose(document), JSON.stringify(isCompose.errors, undefined, 1))
  return document
}

test('docker-compose.yml has the shape that Compose asks for', () => {
  assert(Object.keys(compose().services).length >= 9)
})

const BAD_DOCUMENTS = [
  'services: {}',
  'name: x\nservices: {a: {restart: always}}',
  'name: x\nservices: {a: {image: "a:1", restart: sometimes}}',
  'name: x\nservices: {a: {image: a, restart: always}}',
  'name: x\nservices: {a: {image: "a:latest", restart: always}}',
  'name: x\nservices: {a: {image: "a:1", restart: always, enviroment: {A: b}}}',
  'name: x\nservices: {a: {image: "a:1", restart: always, depends_on: {b: {condition: healthy}}}}',
  'name: x\nservices: {a: {image: "a:1", restart: always, healthcheck: {test: [CMD, x]}}}',
  'name: x\nservices: {a: {image: "a:1", restart: always, ports: [http]}}',
  'name: x\nversion: "3"\nservices: {}',
]
for (const bad of BAD_DOCUMENTS) {
  test(`a document of another shape is refused: ${bad.split('\n').at(-1)}`, () => {
    assert.equal(isCompose(parse(bad)), false)
  })
}

test('what a service waits for exists, and can become what it is waited for', () => {
  const { services } = compose()
  for (const [name, { depends_on: waits = {} }] of Object.entries(services)) {
    for (const [other, { condition }] of Object.entries(waits)) {
      const target = services[other]
      assert(target, `${name} waits for ${other}`)
      if (condition !== 'service_healthy') continue
      assert(target.healthcheck !== undefined && target.healthcheck.disable !== true, other)
    }
  }
})

test('volumes are declared, and files that are mounted exist', () => {
  const { services, volumes } = compose()
  for (const { volumes: mounts = [] } of Object.values(services)) {
    for (const mount of mounts) {
      const [source = ''] = mount.split(':')
      if (source.startsWith('./')) assert(existsSync(join(ROOT, source)), source)
      else assert(source in volumes, source)
    }
  }
})

test('our services run commands that exist, with options that exist', async () => {
  const tables = new Map((await optionSections()).map(({ name, options }) => [name, options]))
  for (const [service, { image, command = [], environment = {} }] of ours(compose())) {
    assert.match(image, /^weir:/)
    const [name = ''] = command
    assert(
      COMMANDS.some((known) => known.name === name),
      `${service} runs ${name}`,
    )
    const table = tables.get(name) ?? {}
    // All of ours are given the addresses of all servers, whether or not they ask that one.
    const known = Object.keys({ ...PROCESS_OPTIONS, ...MIGRATE_OPTIONS, ...table }).map(envName)
    for (const variable of Object.keys(environment)) {
      assert(known.includes(variable), `${service}: ${variable} is not an option`)
    }
    const required = Object.entries(table).filter(([, { default: value }]) => value === undefined)
    for (const [option] of required) {
      assert(envName(option) in environment, `${service}: ${envName(option)} is missing`)
    }
  }
})

test('no secret has a default outside of deploy/dev.env, which has them all', () => {
  const source = text('docker-compose.yml')
  const variables = [...source.matchAll(/\$\{(?<name>\w+)(?<rest>[^}]*)\}/g)]
  const dev = new Map(
    text('deploy/dev.env')
      .split('\n')
      .filter((line) => /^\w+=/.test(line))
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )
  for (const { groups } of variables) {
    const { name = '', rest = '' } = groups ?? {}
    if (name === 'WEIR_VERSION') continue
    assert.match(rest, /^:\?/, `${name} must have no default`)
    assert(dev.has(name), `deploy/dev.env lacks ${name}`)
  }
  for (const line of source.split('\n')) {
    if (/^\s*\w*(?:PASSWORD|SECRET|KEY):/.test(line)) assert.match(line, /: \$\{\w+:\?/)
  }
  for (const [name, value] of dev) {
    if (name !== 'WEIR_TENANT')
      assert.match(value, /dev-only/, `${name} must say that it is public`)
  }
})

test('Prometheus asks every role', () => {
  const { scrape_configs: jobs } = parse(text('deploy/prometheus.yml'))
  const targets: unknown[] = jobs[0].static_configs[0].targets
  const roles = ours(compose()).map(([name]) => name)
  for (const role of roles) if (role !== 'migrate') assert(targets.includes(`${role}:9464`), role)
})

test('the pipeline for GitLab calls npm scripts and folders that exist', () => {
  const jobs: Record<string, unknown> = parse(text('.gitlab-ci.yml'))
  const { scripts } = JSON.parse(text('package.json'))
  const lines = Object.values(jobs).flatMap(scriptOf)
  assert(lines.length >= 8)
  for (const line of lines) {
    const [, script] = /\bnpm run ([\w:-]+)/.exec(line) ?? []
    if (script !== undefined) assert(script in scripts, line)
    const [, folders] = /\bnpm test -- (.+)$/.exec(line) ?? []
    for (const folder of folders?.split(' ') ?? []) assert(existsSync(join(ROOT, folder)), line)
    const [, file] = /--(?:env-)?file (\S+)/.exec(line) ?? []
    if (file !== undefined) assert(existsSync(join(ROOT, file)), line)
  }
  const stages = jobs['stages']
  assert(Array.isArray(stages))
  for (const [name, job] of Object.entries(jobs)) {
    const stage = field(job, 'stage')
    if (name !== 'default' && stage !== undefined) assert(stages.includes(stage), name)
  }
})

function ours({ services }: Compose): readonly (readonly [string, Service])[] {
  return Object.entries(services).filter(([, { image }]) => image.startsWith('weir:'))
}

function scriptOf(job: unknown): readonly string[] {
  const script = field(job, 'script')
  return Array.isArray(script) ? script.map(String) : []
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? Object.entries(value).find(([key]) => key === name)?.[1]
    : undefined
}
