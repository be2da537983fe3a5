/** Roles and scopes: what a grant permits, and that nobody can give what they do not have. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { covers, type Grant, mayDo, PERMISSIONS, ROLES } from './permission.ts'

const grants: fc.Arbitrary<Grant> = fc.record({
  role: fc.constantFrom(...ROLES),
  scopes: fc.option(fc.subarray([...PERMISSIONS]), { nil: undefined }),
})

test('each role may do what the one before it may, and more', () => {
  const permitted = ROLES.map(
    (role) => PERMISSIONS.filter((each) => mayDo({ role, scopes: undefined }, each)).length,
  )
  assert.deepEqual(permitted, [3, 6, PERMISSIONS.length])
})

test('scopes take away and never add', () => {
  fc.assert(
    fc.property(grants, fc.constantFrom(...PERMISSIONS), ({ role, scopes }, permission) => {
      const may = mayDo({ role, scopes }, permission)
      assert.ok(!may || mayDo({ role, scopes: undefined }, permission))
      if (scopes !== undefined && !scopes.includes(permission)) assert.equal(may, false)
    }),
  )
})

test('whatever is given on, however often, permits nothing that its first giver may not do', () => {
  fc.assert(
    fc.property(grants, fc.array(grants, { maxLength: 5 }), (first, chain) => {
      let giver = first
      for (const grant of chain) if (covers(giver, grant)) giver = grant
      for (const each of PERMISSIONS) assert.ok(!mayDo(giver, each) || mayDo(first, each), each)
    }),
  )
})
