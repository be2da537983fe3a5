/**
 * Real servers for tests. `npm test` starts one stack for all test files and passes its addresses
 * in a file; each test file keeps to names that begin with its own namespace.
 */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { StackAddresses } from '../local/stack.ts'

export type TestStack = StackAddresses &
  Readonly<{
    /** Put it in front of every topic, group and database: short, unique, fit for SQL names. */
    namespace: string
  }>

/** Rejects with what to do when no stack is running. */
export async function testStack(): Promise<TestStack> {
  const file = process.env['WEIR_TEST_STACK']
  if (file === undefined) {
    throw new Error(
      'this test needs real servers: run it through `npm test -- <path>`, or set WEIR_TEST_STACK to the addresses file of a running stack',
    )
  }
  // Written by our own stack programs in this very shape.
  const addresses = JSON.parse(await readFile(file, 'utf8')) as StackAddresses
  return { ...addresses, namespace: `t${randomBytes(4).toString('hex')}_` }
}
