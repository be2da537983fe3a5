/**
 * FULL_TRANSITIVE, without a registry: the schema of today reads what every published version
 * wrote, and every published version reads what today's writes.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../platform/package-root.ts'
import { type AvroSchema, whyUnreadable } from './avro-codec.ts'
import { SCHEMAS } from './registered-schemas.ts'

const FOLDER = join(packageRoot(), 'schemas', 'history')
const FILE = /^([a-z-]+)\.(\d+)\.json$/

/** The file name's stem of a schema: WindowUpdate is kept as window-update.1.json. */
const stemOf = (name: string) => name.replace(/(?<=[a-z])[A-Z]/g, '-$&').toLowerCase()

function published(name: string): Map<number, AvroSchema> {
  const versions = new Map<number, AvroSchema>()
  for (const file of readdirSync(FOLDER)) {
    const [, stem, version] = FILE.exec(file) ?? []
    if (stem !== stemOf(name)) continue
    versions.set(Number(version), JSON.parse(readFileSync(join(FOLDER, file), 'utf8')))
  }
  return versions
}

for (const [name, schema] of Object.entries(SCHEMAS)) {
  test(`${name} and all its published versions read each other`, () => {
    for (const [version, old] of published(name)) {
      assert.equal(whyUnreadable(schema, old), undefined, `today's cannot read version ${version}`)
      assert.equal(whyUnreadable(old, schema), undefined, `version ${version} cannot read today's`)
    }
  })

  test(`${name} as it is today is the newest published version`, () => {
    const versions = published(name)
    const newest = Math.max(...versions.keys())
    assert.deepEqual(
      versions.get(newest),
      JSON.parse(JSON.stringify(schema)),
      `a changed schema is a new version: add schemas/history/${stemOf(name)}.${newest + 1}.json`,
    )
    assert.equal(versions.size, newest, 'no version between is missing')
  })
}

test('every file in the history belongs to a schema', () => {
  const stems = new Set(Object.keys(SCHEMAS).map(stemOf))
  for (const file of readdirSync(FOLDER)) assert.ok(stems.has(FILE.exec(file)?.[1] ?? ''), file)
})

test('the compatibility check refuses what it must', () => {
  const record = (...fields: object[]) => ({ type: 'record', name: 'R', fields })
  const id = { name: 'id', type: 'string' }
  const added = { name: 'added', type: 'string' }
  assert.notEqual(whyUnreadable(record(id, added), record(id)), undefined)
  assert.equal(whyUnreadable(record(id, { ...added, default: '' }), record(id)), undefined)
  assert.notEqual(whyUnreadable(record({ ...id, type: 'long' }), record(id)), undefined)
})
