/** `weir dlq`: what operators do with dead letters. */
import { commandOfCommands } from '../../platform/lifecycle/command-with-options.ts'
import {
  lsCommand,
  purgeCommand,
  replayCommand,
  resumeCommand,
  showCommand,
} from './dlq-commands.ts'

export const dlqCommand = commandOfCommands({
  name: 'dlq',
  summary: 'lists, shows, replays and deletes what could not be counted',
  commands: {
    ls: lsCommand,
    show: showCommand,
    replay: replayCommand,
    purge: purgeCommand,
    resume: resumeCommand,
  },
})
