import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { testStack } from '../../test/stack.ts'
import { Failure } from '../failure.ts'
import {
  ensureSchemas,
  fetchSchema,
  loadSchemaIds,
  saveSchemaIds,
  startWithSchemas,
} from './schema-registry.ts'

const NOWHERE = 'http://127.0.0.1:1/apis/ccompat/v7'
const record = (name: string, ...fields: object[]) => ({
  type: 'record',
  name,
  namespace: 'weir.test',
  fields: [{ name: 'id', type: 'string' }, ...fields],
})
const WITH_DEFAULT = { name: 'note', type: 'string', default: '' }
const WITHOUT_DEFAULT = { name: 'note', type: 'string' }

let url = ''
let namespace = ''
let folder = ''

before(async () => {
  const stack = await testStack()
  url = stack.registry.url
  namespace = stack.namespace
  folder = await mkdtemp(join(tmpdir(), 'weir-registry-'))
})
after(() => rm(folder, { recursive: true }))

test('registering twice gives the same id, and the schema can be fetched by it', async () => {
  const schemas = [{ subject: `${namespace}same-value`, schema: record('Same') }]
  const first = await ensureSchemas(url, schemas)
  assert.deepEqual(await ensureSchemas(url, schemas), first)
  const text = await fetchSchema(url, first[`${namespace}same-value`] ?? -1)
  assert.deepEqual(JSON.parse(text ?? ''), record('Same'))
})

test('a field with a default may come and go', async () => {
  const subject = `${namespace}evolving-value`
  await ensureSchemas(url, [{ subject, schema: record('Evolving') }])
  const ids = await ensureSchemas(url, [{ subject, schema: record('Evolving', WITH_DEFAULT) }])
  assert.equal(typeof ids[subject], 'number')
})

test('a field without a default is refused as incompatible', async () => {
  const subject = `${namespace}strict-value`
  await ensureSchemas(url, [{ subject, schema: record('Strict') }])
  await assert.rejects(
    ensureSchemas(url, [{ subject, schema: record('Strict', WITHOUT_DEFAULT) }]),
    (error) => error instanceof Failure && error.code === 'schema_incompatible',
  )
})

test('an unknown id is nothing, not an error', async () => {
  assert.equal(await fetchSchema(url, 2_000_000_000), undefined)
})

test('with the registry down the kept ids start the process', async () => {
  const file = join(folder, 'deep', 'schema-ids.json')
  const schemas = [{ subject: `${namespace}start-value`, schema: record('Start') }]
  const first = await startWithSchemas({ registryUrl: url, file, schemas })
  assert.equal(first.source, 'registry')
  const second = await startWithSchemas({ registryUrl: NOWHERE, file, schemas })
  assert.equal(second.source, 'file')
  assert.deepEqual(second.ids, first.ids)
})

test('with the registry down and nothing kept the start is refused as unavailable', async () => {
  const file = join(folder, 'absent.json')
  const schemas = [{ subject: `${namespace}absent-value`, schema: record('Absent') }]
  await assert.rejects(
    startWithSchemas({ registryUrl: NOWHERE, file, schemas }),
    (error) => error instanceof Failure && error.code === 'unavailable',
  )
})

test('ids are saved whole and a damaged file is refused', async () => {
  const file = join(folder, 'ids.json')
  assert.equal(await loadSchemaIds(file), undefined)
  await saveSchemaIds(file, { a: 1 })
  assert.deepEqual(await loadSchemaIds(file), { a: 1 })
  assert.deepEqual(JSON.parse(await readFile(file, 'utf8')), { a: 1 })
  for (const damaged of ['', '{"a":1', '[]', '{"a":"1"}', '{"a":-1}', '{"a":1.5}', 'null']) {
    await writeFile(file, damaged)
    await assert.rejects(
      loadSchemaIds(file),
      (error) => error instanceof Failure && error.code === 'config_invalid',
      damaged,
    )
  }
})
