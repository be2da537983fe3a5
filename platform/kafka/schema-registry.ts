/**
 * The schema registry, at start-up only. A registry that is down does not stop ingestion: the ids
 * are kept in a file beside the deployment, and its answer replaces them whenever it answers.
 *
 * The library registers. What it cannot do goes to the Confluent REST API directly: it sets a
 * compatibility level only after the first version has been registered without one (and refuses a
 * subject whose level differs), it reports an unknown schema without its status, and it gives a
 * schema only as a parsed type.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { COMPATIBILITY, SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry'
import { spelledOut } from '../config/option-names.ts'
import { Failure } from '../failure.ts'
import type { Logger } from '../observe/logger.ts'

export type SubjectSchema = Readonly<{ subject: string; schema: Readonly<Record<string, unknown>> }>
/** Registry ids by subject. */
export type SchemaIds = Readonly<Record<string, number>>

const MEDIA_TYPE = 'application/vnd.schemaregistry.v1+json'
const TIMEOUT_MS = 10_000

/**
 * Registers each schema with full transitive compatibility and gives the ids. Rejects with
 * `schema_incompatible` where a kept version contradicts, `unavailable` where nobody answers.
 */
export async function ensureSchemas(
  registryUrl: string,
  schemas: readonly SubjectSchema[],
): Promise<SchemaIds> {
  const ids: Record<string, number> = {}
  const compatibility = COMPATIBILITY.FULL_TRANSITIVE
  for (const one of schemas) {
    // Before registering: the very first version has to be judged by it as well.
    await ask(registryUrl, `/config/${encodeURIComponent(one.subject)}`, {
      method: 'PUT',
      body: JSON.stringify({ compatibility }),
    })
    ids[one.subject] = await register(registryUrl, one, compatibility)
  }
  return ids
}

/** The JSON text of a schema by its id; undefined when the registry has none. */
export async function fetchSchema(registryUrl: string, id: number): Promise<string | undefined> {
  try {
    const answer = await ask(registryUrl, `/schemas/ids/${id}`, { method: 'GET' })
    if (isObject(answer) && typeof answer['schema'] === 'string') return answer['schema']
    throw new Failure('unavailable', `the schema registry's answer for id ${id} holds no schema`)
  } catch (error) {
    if (error instanceof Failure && error.code === 'not_found') return undefined
    throw error
  }
}

/** The kept ids, or undefined where none were kept. Rejects when the file is damaged. */
export async function loadSchemaIds(file: string): Promise<SchemaIds | undefined> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
  const ids: unknown = parseJson(text)
  if (isSchemaIds(ids)) return ids
  throw new Failure(
    'config_invalid',
    `${file} does not hold schema ids (${spelledOut('schemaIdsFile')})`,
  )
}

/** Whole or not at all: a crash leaves the file as it was. */
export async function saveSchemaIds(file: string, ids: SchemaIds): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  const draft = `${file}.${process.pid}.draft`
  await writeFile(draft, `${JSON.stringify(ids, undefined, 2)}\n`)
  await rename(draft, file)
}

/**
 * The ids to start with: from the registry, kept for the next start; from the file when the
 * registry does not answer. Rejects when neither has them.
 */
export async function startWithSchemas(
  options: Readonly<{
    registryUrl: string
    file: string
    schemas: readonly SubjectSchema[]
    /** Told when the kept ids have to do. */
    logger?: Logger
  }>,
): Promise<Readonly<{ ids: SchemaIds; source: 'registry' | 'file' }>> {
  const { registryUrl, file, schemas, logger } = options
  try {
    const ids = await ensureSchemas(registryUrl, schemas)
    await saveSchemaIds(file, { ...(await loadSchemaIds(file)), ...ids })
    return { ids, source: 'registry' }
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'unavailable') throw error
    const ids = await loadSchemaIds(file)
    if (ids === undefined || schemas.some(({ subject }) => ids[subject] === undefined)) throw error
    logger?.warn('the schema registry does not answer: kept ids used')
    return { ids, source: 'file' }
  }
}

async function ask(
  registryUrl: string,
  path: string,
  request: Readonly<{ method: 'GET' | 'POST' | 'PUT'; body?: string }>,
): Promise<unknown> {
  let response: Response
  let text: string
  try {
    response = await fetch(`${baseOf(registryUrl)}${path}`, {
      ...request,
      headers: { accept: MEDIA_TYPE, 'content-type': MEDIA_TYPE },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    text = await response.text()
  } catch (cause) {
    const detail = `no schema registry answers at ${registryUrl} (${spelledOut('registryUrl')})`
    throw new Failure('unavailable', detail, { cause })
  }
  if (response.ok) return parseJson(text)
  throw refusal(response.status, `${request.method} ${path}: ${reasonOf(text)}`)
}

function refusal(status: number, detail: string): Failure {
  switch (status) {
    case 404:
      return new Failure('not_found', `schema registry: ${detail}`)
    case 409:
      return new Failure('schema_incompatible', `schema registry: ${detail}`)
    default:
      // 422 is a schema that is not Avro, a mistake of ours; the rest is the registry's trouble.
      return new Failure(
        status === 422 ? 'schema_incompatible' : 'unavailable',
        `schema registry: ${detail}`,
      )
  }
}

function reasonOf(text: string): string {
  const answer = parseJson(text)
  if (isObject(answer) && typeof answer['message'] === 'string') return answer['message']
  return text.slice(0, 200)
}

/** The library knows no time limit, and would repeat by itself. */
async function register(
  registryUrl: string,
  { subject, schema }: SubjectSchema,
  compatibility: COMPATIBILITY,
): Promise<number> {
  const registry = new SchemaRegistry({ host: baseOf(registryUrl), retry: { retries: 0 } })
  const confluentSchema = { type: SchemaType.AVRO as const, schema: JSON.stringify(schema) }
  const deadline = AbortSignal.timeout(TIMEOUT_MS)
  const tooLate = new Promise<never>((_, reject) => {
    deadline.addEventListener('abort', () => reject(new Error('no answer in time')))
  })
  try {
    const { id } = await Promise.race([
      registry.register(confluentSchema, { subject, compatibility }),
      tooLate,
    ])
    return id
  } catch (cause) {
    const status = isObject(cause) && typeof cause['status'] === 'number' ? cause['status'] : 0
    const detail = cause instanceof Error ? cause.message : 'no reason given'
    throw refusal(status, `${subject} at ${registryUrl} (${spelledOut('registryUrl')}): ${detail}`)
  }
}

const baseOf = (registryUrl: string): string => registryUrl.replace(/\/$/, '')

function isSchemaId(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffffffff
}

function isSchemaIds(value: unknown): value is SchemaIds {
  return isObject(value) && Object.values(value).every(isSchemaId)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
