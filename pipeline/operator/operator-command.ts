/**
 * A command of an operator: like every other command, and it finds the system that `npm start` runs
 * where nobody says which servers are meant.
 */
import type { OptionTable } from '../../platform/config/options.ts'
import { readOptions } from '../../platform/config/read-options.ts'
import type { Command } from '../../platform/lifecycle/command.ts'
import {
  type CommandWithOptions,
  commandWithOptions,
} from '../../platform/lifecycle/command-with-options.ts'
import { withRunningSystem } from './running-system.ts'

export const STACK_OPTION = {
  stack: {
    kind: 'text',
    default: '.weir/local.json',
    doc: 'Description of a running system, as npm start writes it: where the servers are, if no option says it.',
  },
} as const satisfies OptionTable

export function operatorCommand<const T extends typeof STACK_OPTION & OptionTable>(
  subject: CommandWithOptions<T>,
): Command {
  const { name, summary, options } = subject
  const inner = commandWithOptions(subject)
  return {
    name,
    summary,
    async run(argv, env) {
      // Mistakes of the command line are told first, whether or not a system runs.
      const isSound = readOptions(options, { argv, env }).kind === 'values'
      const finds = isSound && !argv.includes('--help')
      return inner.run(argv, finds ? withRunningSystem({ argv, env }, options) : env)
    },
  }
}
