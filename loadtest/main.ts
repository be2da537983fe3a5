/** `weir loadtest`: the outside world. It plays fleets, believes nobody, and reconciles. */
import { commandOfCommands } from '../platform/lifecycle/command-with-options.ts'
import { demoCommand } from './demo/demo-command.ts'
import { disorderCommand } from './disorder/disorder-command.ts'
import { runCommand } from './fleet/run-command.ts'
import { reconcileCommand } from './reconcile/reconcile-command.ts'

export const loadtestCommand = commandOfCommands({
  name: 'loadtest',
  summary: 'plays devices over real MQTT and proves what happened to their readings',
  commands: {
    demo: demoCommand,
    run: runCommand,
    reconcile: reconcileCommand,
    disorder: disorderCommand,
  },
})
