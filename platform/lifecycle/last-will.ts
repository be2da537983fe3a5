/**
 * What somebody else has to do for a process that ended without doing it: a killed process cannot
 * say goodbye to those who wait for it. It leaves its wills with its supervisor while it lives; the
 * supervisor hands them to whoever knows the kind, and understands none of it itself.
 */
export type LastWill = Readonly<{ kind: string; details: Readonly<Record<string, string>> }>

export interface LastWills {
  /** The newest under an id counts; undefined takes it back, once the process did it itself. */
  declare(id: string, will: LastWill | undefined): void
}
