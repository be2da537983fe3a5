#!/usr/bin/env node
/**
 * `weir`: one binary, a command per role and tool (commands.ts). Exit codes are those of
 * platform/lifecycle/exit-codes.ts for every command.
 */
import { nearestName } from '../platform/config/nearest-name.ts'
import { Failure } from '../platform/failure.ts'
import { EXIT } from '../platform/lifecycle/exit-codes.ts'
import { packageVersion } from '../platform/package-root.ts'
import { COMMANDS } from './commands.ts'

/** The work is over when this resolves: what a library still holds open must not keep us alive. */
process.exit(await main(process.argv.slice(2), process.env))

async function main(argv: readonly string[], env: Readonly<NodeJS.ProcessEnv>): Promise<number> {
  const [name, ...rest] = argv
  if (name === '--help' || name === '-h' || name === 'help') return print(helpPage())
  if (name === '--version' || name === '-v')
    return print(`${packageVersion(import.meta.dirname)}\n`)
  if (name === undefined) return refuse(`a command is missing.\n\n${helpPage()}`)

  const command = COMMANDS.find((known) => known.name === name)
  if (command === undefined) return refuse(unknownCommand(name))
  try {
    return await command.run(rest, env)
  } catch (error) {
    const told = error instanceof Failure ? error.message : describeDefect(error)
    process.stderr.write(`weir ${name}: ${told}\n`)
    return EXIT.failed
  }
}

function helpPage(): string {
  const width = Math.max(...COMMANDS.map(({ name }) => name.length))
  const lines = COMMANDS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`)
  return [
    'Usage: weir <command> [options]',
    '',
    ...lines,
    '',
    '`weir <command> --help` shows its options. Each is also an environment variable WEIR_….',
    '`weir --version` shows the version.',
    '',
  ].join('\n')
}

function unknownCommand(name: string): string {
  const nearest = nearestName(
    name,
    COMMANDS.map((command) => command.name),
  )
  const hint = nearest === undefined ? '`weir --help` lists them.' : `Did you mean ${nearest}?`
  return `"${name}" is not a command. ${hint}\n`
}

function print(text: string): number {
  process.stdout.write(text)
  return EXIT.ok
}

function refuse(text: string): number {
  process.stderr.write(`weir: ${text}`)
  return EXIT.usage
}

function describeDefect(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
