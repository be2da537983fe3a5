/**
 * A small JSON document that survives a kill at any time: written to a neighbour, then renamed.
 * Mode 0600, because some of them hold device secrets.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

export class JsonFile<T> {
  readonly #path: string
  readonly #isValid: (value: unknown) => value is T

  constructor(path: string, isValid: (value: unknown) => value is T) {
    this.#path = path
    this.#isValid = isValid
  }

  /** Undefined when there is none or it cannot be understood: the owner then starts afresh. */
  read(): T | undefined {
    try {
      const value: unknown = JSON.parse(readFileSync(this.#path, 'utf8'))
      return this.#isValid(value) ? value : undefined
    } catch {
      return undefined
    }
  }

  write(value: T): void {
    mkdirSync(dirname(this.#path), { recursive: true })
    const beside = `${this.#path}.new`
    writeFileSync(beside, `${JSON.stringify(value)}\n`, { mode: 0o600 })
    renameSync(beside, this.#path)
  }
}
