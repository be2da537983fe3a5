/**
 * One line that says how far a long command is: rewritten in place on a terminal, and printed now
 * and then where standard error is a file.
 */
export class ProgressLine {
  readonly #out: NodeJS.WriteStream
  readonly #everyMs: number
  #timer: NodeJS.Timeout | undefined
  #written = ''

  constructor(out: NodeJS.WriteStream = process.stderr) {
    this.#out = out
    this.#everyMs = out.isTTY ? 500 : 10_000
  }

  /** Shows what `text` gives, until stop(). The first line is shown at once. */
  show(text: () => string): void {
    this.stop()
    const write = (): void => this.#write(text())
    write()
    this.#timer = setInterval(write, this.#everyMs)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    if (this.#out.isTTY && this.#written !== '') this.#out.write('\r\u001b[K')
    this.#written = ''
  }

  #write(text: string): void {
    if (text === this.#written) return
    this.#written = text
    this.#out.write(this.#out.isTTY ? `\r${text}\u001b[K` : `${text}\n`)
  }
}
