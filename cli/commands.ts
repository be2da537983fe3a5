/**
 * The command table of the one binary. Each entry imports what it runs only when it is asked for,
 * so that a role's process holds no other role's code, and --help holds none at all.
 */
import type { Command } from '../platform/lifecycle/command.ts'
import type { OptionTable } from '../platform/config/options.ts'
import type { Role } from '../platform/lifecycle/role.ts'

export const COMMANDS: readonly Command[] = [
  {
    name: 'connectors',
    summary: 'Take what devices say and write it to Kafka.',
    run: async (argv, env) =>
      runRole((await import('../connectors/main.ts')).connectorsRole, argv, env),
  },
  {
    name: 'pipeline',
    summary: 'Fold Kafka records into exact rollups and write ClickHouse.',
    run: async (argv, env) =>
      runRole((await import('../pipeline/main.ts')).pipelineRole, argv, env),
  },
  {
    name: 'api',
    summary: 'Answer queries, manage devices, feed live dashboards.',
    run: async (argv, env) => runRole((await import('../api/main.ts')).apiRole, argv, env),
  },
  {
    name: 'auditor',
    summary: 'Audit every closed hour: nothing lost, nothing counted twice.',
    run: async (argv, env) =>
      runRole((await import('../pipeline/audit/main.ts')).auditorRole, argv, env),
  },
  {
    name: 'up',
    summary: 'Run all roles under a supervisor, against servers that exist.',
    run: async (argv, env) => runRole((await import('./up.ts')).upRole, argv, env),
  },
  {
    name: 'migrate',
    summary: 'Create or upgrade tables and topics.',
    run: async (argv, env) => (await import('./migrate.ts')).migrateCommand.run(argv, env),
  },
  {
    name: 'audit',
    summary: 'Prove that what arrived is stored, once, and that rollups are what samples make.',
    run: async (argv, env) =>
      (await import('../pipeline/audit/main.ts')).auditCommand.run(argv, env),
  },
  {
    name: 'dlq',
    summary: 'List, show, replay and delete what could not be counted.',
    run: async (argv, env) =>
      (await import('../pipeline/dead-letters/main.ts')).dlqCommand.run(argv, env),
  },
  {
    name: 'reprocess',
    summary: 'Recompute windows from raw samples.',
    run: async (argv, env) =>
      (await import('../pipeline/reprocess/main.ts')).reprocessCommand.run(argv, env),
  },
  {
    name: 'loadtest',
    summary: 'Play a fleet of devices and reconcile what was acknowledged with what is stored.',
    run: async (argv, env) => (await import('../loadtest/main.ts')).loadtestCommand.run(argv, env),
  },
  {
    name: 'bench',
    summary: 'Measure what a million records cost.',
    run: async (argv, env) =>
      (await import('../loadtest/bench/main.ts')).benchCommand.run(argv, env),
  },
]

async function runRole<T extends OptionTable>(
  role: Role<T>,
  argv: readonly string[],
  env: Readonly<NodeJS.ProcessEnv>,
): Promise<number> {
  const runner = await import('../platform/lifecycle/run-role.ts')
  return runner.runRole(role, { argv, env })
}
