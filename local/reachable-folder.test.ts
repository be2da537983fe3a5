import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { reachableFolder } from './reachable-folder.ts'

const user = { name: 'nobody', uid: 65_534, gid: 65_534 }

describe('reachableFolder', () => {
  let home = ''
  let elsewhere = ''
  const notes: string[] = []
  const find = (folder: string): Promise<string> =>
    reachableFolder({ folder, what: 'data', user, onProgress: ({ what }) => notes.push(what) })
  before(() => {
    home = mkdtempSync(join(tmpdir(), 'weir-reach-'))
  })
  after(() => {
    rmSync(home, { recursive: true, force: true })
    if (elsewhere !== '') rmSync(dirname(elsewhere), { recursive: true, force: true })
  })

  test('stays where everybody can walk to, even if its inside is private', async () => {
    chmodSync(home, 0o711)
    const folder = join(home, 'open')
    assert.equal(await find(folder), folder)
    mkdirSync(folder, { mode: 0o700 })
    assert.equal(await find(folder), folder)
    assert.deepEqual(notes, [])
  })

  test('moves out of a private folder, says so, and comes back to the same place', async () => {
    chmodSync(home, 0o700)
    const folder = join(home, 'hidden')
    elsewhere = await find(folder)
    assert.notEqual(elsewhere, folder)
    assert.match(
      notes[0] ?? '',
      /nobody cannot reach .*hidden, so Postgres has its data in \/var\/tmp/,
    )
    mkdirSync(elsewhere)
    writeFileSync(join(elsewhere, 'kept'), '')
    assert.equal(await find(folder), elsewhere)
    assert.equal(notes.length, 1, 'told once')
    assert.ok(existsSync(join(elsewhere, 'kept')))
  })

  test('begins anew when the folder it stands for was deleted', async () => {
    rmSync(join(home, 'hidden'), { recursive: true })
    assert.equal(await find(join(home, 'hidden')), elsewhere)
    assert.equal(existsSync(join(elsewhere, 'kept')), false)
  })
})
