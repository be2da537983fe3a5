/** The pipeline as a process of its own, for tests that kill it and measurements that weigh it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { executeMembershipWill } from '../../platform/kafka/leave-group.ts'
import type { RoleMessage } from '../../platform/lifecycle/ipc-messages.ts'
import type { LastWill } from '../../platform/lifecycle/last-will.ts'
import type { Deployment } from './stack-deployment.ts'

const willsOf = new WeakMap<ChildProcess, Map<string, LastWill>>()

/** The role as an operating system process, which may die before it is ready. */
export function spawnChild(
  { argv }: Pick<Deployment, 'argv'>,
  execArgv: readonly string[] = [],
): ChildProcess {
  const weir = join(import.meta.dirname, '..', '..', 'cli', 'weir.js')
  const child = spawn(process.execPath, [...execArgv, weir, 'pipeline', ...argv], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  const wills = new Map<string, LastWill>()
  willsOf.set(child, wills)
  child.on('message', (message) => {
    const sent = message as RoleMessage // Our own role sends nothing else.
    if (sent.type === 'last_will' && sent.will !== null) wills.set(sent.id, sent.will)
    if (sent.type === 'last_will' && sent.will === null) wills.delete(sent.id)
  })
  return child
}

/** The same; resolves when it says that it is ready. */
export async function startChild(
  deployment: Pick<Deployment, 'argv'>,
  execArgv: readonly string[] = [],
): Promise<ChildProcess> {
  const child = spawnChild(deployment, execArgv)
  let said = ''
  child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()))
  await new Promise<void>((resolve, reject) => {
    child.on('message', (message) => {
      if ((message as RoleMessage).type === 'ready') resolve()
    })
    child.once('exit', (code) => reject(new Error(`exit ${code}: ${said}`)))
  })
  return child
}

/** Ends it with -9, and does what its supervisor would do then. */
export async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await died(child)
}

/** Waits for its end, and does what its supervisor would do then. */
export async function died(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  for (const will of willsOf.get(child)?.values() ?? []) await executeMembershipWill(will)
}
