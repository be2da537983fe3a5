/** Why a server could not listen, as a Failure that names the option which would change it. */
import { spelledOut } from '../config/option-names.ts'
import { Failure } from '../failure.ts'

export type ListenAttempt = Readonly<{
  host: string
  port: number
  /** The option that chose the port, such as `adminPort`. */
  option: string
}>

export function listenFailure(error: unknown, { host, port, option }: ListenAttempt): Failure {
  const change = `choose another with ${spelledOut(option)}`
  const cause = { cause: error }
  switch (errorCode(error) ?? '') {
    case 'EADDRINUSE':
      return new Failure('port_taken', `Port ${port} on ${host} is taken: ${change}.`, cause)
    case 'EACCES':
      return new Failure(
        'config_invalid',
        `Port ${port} on ${host} needs privileges this process does not have: ${change}.`,
        cause,
      )
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EADDRNOTAVAIL':
      return new Failure('config_invalid', `${host} is not an address of this machine.`, cause)
    default:
      return new Failure(
        'config_invalid',
        `Cannot listen on ${host}:${port} (${errorCode(error) ?? String(error)}): ${change}.`,
        cause,
      )
  }
}

function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}
