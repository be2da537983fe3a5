/**
 * What every command here shares: its option table, --help, all problems of the command line at
 * once, and one sentence instead of a stack for a failure of the world.
 */
import { Failure } from '../failure.ts'
import { helpText } from '../config/help-text.ts'
import { nearestName } from '../config/nearest-name.ts'
import type { OptionTable, OptionValues } from '../config/options.ts'
import { readOptions } from '../config/read-options.ts'
import type { Command } from './command.ts'
import { EXIT } from './exit-codes.ts'

export type CommandWithOptions<T extends OptionTable> = Readonly<{
  name: string
  summary: string
  options: T
  /** `env` is for programs that it starts; options have been read from it already. */
  run(values: OptionValues<T>, env: Readonly<NodeJS.ProcessEnv>): Promise<number>
}>

export function commandWithOptions<const T extends OptionTable>(
  subject: CommandWithOptions<T>,
): Command {
  const { name, summary, options } = subject
  return {
    name,
    summary,
    async run(argv, env) {
      if (argv.includes('--help')) {
        process.stdout.write(helpText({ name, summary, options }))
        return EXIT.ok
      }
      const read = readOptions(options, { argv, env })
      if (read.kind === 'problems') {
        for (const problem of read.problems) process.stderr.write(`weir ${name}: ${problem}\n`)
        return EXIT.usage
      }
      try {
        return await subject.run(read.values, env)
      } catch (error) {
        if (!(error instanceof Failure)) throw error
        process.stderr.write(`weir ${name}: ${error.message}\n`)
        return error.code === 'config_invalid' ? EXIT.usage : EXIT.failed
      }
    },
  }
}

/** A command that only chooses among others, such as `weir loadtest`. */
export function commandOfCommands(
  subject: Readonly<{ name: string; summary: string; commands: Readonly<Record<string, Command>> }>,
): Command {
  const { name, summary, commands } = subject
  const lines = Object.entries(commands).map(
    ([word, { summary }]) => `  ${word.padEnd(12)}${summary}`,
  )
  const help = `weir ${name}: ${summary}\n\n${lines.join('\n')}\n\nEach has --help.\n`
  return {
    name,
    summary,
    async run([word = '', ...rest], env) {
      const command = Object.hasOwn(commands, word) ? commands[word] : undefined
      if (command !== undefined) return command.run(rest, env)
      if (word === '--help') {
        process.stdout.write(help)
        return EXIT.ok
      }
      process.stderr.write(`weir ${name}: ${unknownWord(word, Object.keys(commands))}\n\n${help}`)
      return EXIT.usage
    },
  }
}

function unknownWord(word: string, known: readonly string[]): string {
  if (word === '') return 'say which of these.'
  const nearest = nearestName(word, known)
  return `"${word}" is none of these.${nearest === undefined ? '' : ` Did you mean ${nearest}?`}`
}
