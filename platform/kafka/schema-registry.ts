/**
 * The schema registry, by its Confluent REST API and at start-up only. A registry that is down
 * does not stop ingestion: the ids are kept in a file beside the deployment and compared with the
 * registry when it answers.
 *
 * @kafkajs/confluent-schema-registry is not used: it registers before it sets the compatibility
 * level, and refuses a subject whose level differs instead of setting it.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Failure } from '../failure.ts'

export type SubjectSchema = Readonly<{ subject: string; schema: Readonly<Record<string, unknown>> }>
/** Registry ids by subject. */
export type SchemaIds = Readonly<Record<string, number>>

const COMPATIBILITY = 'FULL_TRANSITIVE'
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
  for (const { subject, schema } of schemas) {
    const path = encodeURIComponent(subject)
    // Before registering: the very first version has to be judged by it as well.
    await ask(registryUrl, `/config/${path}`, {
      method: 'PUT',
      body: JSON.stringify({ compatibility: COMPATIBILITY }),
    })
    const answer = await ask(registryUrl, `/subjects/${path}/versions`, {
      method: 'POST',
      body: JSON.stringify({ schema: JSON.stringify(schema) }),
    })
    ids[subject] = idOf(answer, subject)
  }
  return ids
}

/** What the registry says about kept ids. */
export type Verification =
  | Readonly<{ kind: 'same' }>
  | Readonly<{ kind: 'unreachable'; detail: string }>
  | Readonly<{
      kind: 'different'
      subject: string
      kept: number | undefined
      registered: number | undefined
    }>

/** Compares kept ids with the registry, without changing anything there. */
export async function verifySchemas(
  registryUrl: string,
  schemas: readonly SubjectSchema[],
  kept: SchemaIds,
): Promise<Verification> {
  for (const { subject, schema } of schemas) {
    try {
      const answer = await ask(registryUrl, `/subjects/${encodeURIComponent(subject)}`, {
        method: 'POST',
        body: JSON.stringify({ schema: JSON.stringify(schema) }),
      })
      const registered = idOf(answer, subject)
      if (registered !== kept[subject]) {
        return { kind: 'different', subject, kept: kept[subject], registered }
      }
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      if (error.code === 'not_found') {
        return { kind: 'different', subject, kept: kept[subject], registered: undefined }
      }
      return { kind: 'unreachable', detail: error.message }
    }
  }
  return { kind: 'same' }
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
  if (isObject(ids) && Object.values(ids).every(isSchemaId)) return ids
  throw new Failure('config_invalid', `${file} does not hold schema ids (option schemaIdsFile)`)
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
  options: Readonly<{ registryUrl: string; file: string; schemas: readonly SubjectSchema[] }>,
): Promise<Readonly<{ ids: SchemaIds; source: 'registry' | 'file' }>> {
  const { registryUrl, file, schemas } = options
  try {
    const ids = await ensureSchemas(registryUrl, schemas)
    await saveSchemaIds(file, { ...(await loadSchemaIds(file)), ...ids })
    return { ids, source: 'registry' }
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'unavailable') throw error
    const ids = await loadSchemaIds(file)
    if (ids === undefined || schemas.some(({ subject }) => ids[subject] === undefined)) throw error
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
    response = await fetch(`${registryUrl.replace(/\/$/, '')}${path}`, {
      ...request,
      headers: { accept: MEDIA_TYPE, 'content-type': MEDIA_TYPE },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    text = await response.text()
  } catch (cause) {
    const detail = `no schema registry answers at ${registryUrl} (option registryUrl)`
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
      return new Failure(status === 422 ? 'schema_incompatible' : 'unavailable', detail)
  }
}

function reasonOf(text: string): string {
  const answer = parseJson(text)
  if (isObject(answer) && typeof answer['message'] === 'string') return answer['message']
  return text.slice(0, 200)
}

function idOf(answer: unknown, subject: string): number {
  if (isObject(answer) && isSchemaId(answer['id'])) return answer['id']
  throw new Failure('unavailable', `the schema registry's answer for ${subject} holds no id`)
}

function isSchemaId(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffffffff
}

function isObject(value: unknown): value is Record<string, number> & Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
