import assert from 'node:assert/strict'
import { test } from 'node:test'
import { faultsCommand } from './main.ts'

test('faults that do not exist are refused: none at all would keep every promise', async () => {
  assert.equal(await faultsCommand.run(['--only', 'no such fault'], {}), 2)
  assert.equal(await faultsCommand.run(['--only', 'no such fault', '--list'], {}), 2)
  assert.equal(await faultsCommand.run(['--only', 'disk full', '--list'], {}), 0)
})
