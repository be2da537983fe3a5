/** `weir dlq`: what operators do with dead letters. */
import type { OptionTable } from '../../platform/config/options.ts'
import { commandOfCommands } from '../../platform/lifecycle/command-with-options.ts'
import {
  LS_OPTIONS,
  lsCommand,
  PURGE_OPTIONS,
  purgeCommand,
  REPLAY_OPTIONS,
  replayCommand,
  SHOW_OPTIONS,
  showCommand,
} from './dlq-commands.ts'
import { RESUME_OPTIONS, resumeCommand } from './resume-command.ts'

const COMMANDS = {
  ls: lsCommand,
  show: showCommand,
  replay: replayCommand,
  purge: purgeCommand,
  resume: resumeCommand,
}

export const dlqCommand = commandOfCommands({
  name: 'dlq',
  summary: 'lists, shows, replays and deletes what could not be counted',
  commands: COMMANDS,
})

/** For docs/CONFIG.md. */
export const DLQ_SECTIONS: readonly Readonly<{
  name: string
  summary: string
  options: OptionTable
}>[] = [
  { ...lsCommand, options: LS_OPTIONS },
  { ...showCommand, options: SHOW_OPTIONS },
  { ...replayCommand, options: REPLAY_OPTIONS },
  { ...purgeCommand, options: PURGE_OPTIONS },
  { ...resumeCommand, options: RESUME_OPTIONS },
]
