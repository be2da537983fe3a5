/**
 * The crash journal of one partition in a local file. A write that returned survives the death of
 * the process, which is what it is for; it is not synced to the disk, so it does not survive the
 * death of the machine, and then nobody is blamed.
 *
 * A folder that cannot be written never stops ingestion: the journal is then off, and says so.
 */
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Logger } from '../../platform/observe/logger.ts'
import {
  EMPTY_JOURNAL,
  entered,
  type JournalState,
  journalText,
  left,
  parseJournal,
  type QuarantineReason,
  reopened,
  stepped,
  withQuarantined,
} from './crash-journal.ts'

export type JournalOptions = Readonly<{
  /** Empty: no journal is kept. */
  folder: string
  topic: string
  logger: Logger
}>

export class PartitionJournal {
  readonly #path: string
  readonly #partition: number
  readonly #logger: Logger
  #file: number | undefined
  #state: JournalState
  /** Records up to this one are taken in single steps, because somebody died among them. */
  readonly stepsTo: number
  readonly #reasons: Map<number, Readonly<{ reason: QuarantineReason; detail: string }>>

  /** `resumeOffset`: records before it are never read again. */
  constructor(options: JournalOptions, partition: number, resumeOffset: number) {
    this.#logger = options.logger
    this.#partition = partition
    this.#path = join(options.folder, `${options.topic}-${partition}.journal`)
    if (options.folder !== '') this.#open(options.folder)
    this.#state = reopened(this.#read(), resumeOffset)
    this.stepsTo = this.#state.enteredTo >= resumeOffset ? this.#state.enteredTo : -1
    this.#reasons = new Map(this.#state.quarantined.map((one) => [one.offset, one]))
    this.#write()
    if (this.stepsTo >= 0) this.#report()
  }

  /** Why a record must not be taken, if so. */
  quarantined(offset: number): Readonly<{ reason: QuarantineReason; detail: string }> | undefined {
    return this.#reasons.size === 0 ? undefined : this.#reasons.get(offset)
  }

  /** Before the records up to `lastOffset` are taken, in one go or in single steps. */
  enter(lastOffset: number): void {
    this.#set(entered(this.#state, lastOffset, this.stepsTo))
  }

  /** Before one record is taken, where `stepsTo` asks for it. */
  step(offset: number): void {
    this.#set(stepped(this.#state, offset))
  }

  /** After the records up to `passedTo` were taken. */
  leave(passedTo: number): void {
    this.#set(left(this.#state, passedTo, this.stepsTo))
  }

  /** The record is skipped by whoever owns the partition next. False when no journal is kept. */
  quarantine(offset: number, reason: QuarantineReason, detail: string): boolean {
    this.#set(withQuarantined(this.#state, { offset, reason, detail }))
    return this.#file !== undefined
  }

  /** The owner ends in peace: no single steps for the next one. */
  close(): void {
    this.#set({ ...this.#state, enteredTo: -1, step: -1, blamed: EMPTY_JOURNAL.blamed })
    if (this.#file === undefined) return
    closeSync(this.#file)
    this.#file = undefined
    // Nothing is left to tell: no file for every partition that ever was here.
    if (this.#state.quarantined.length === 0) rmSync(this.#path, { force: true })
  }

  #set(state: JournalState): void {
    this.#state = state
    this.#write()
  }

  #open(folder: string): void {
    try {
      mkdirSync(folder, { recursive: true })
      // Neither truncated nor exclusive: what the last owner wrote is what we came for.
      this.#file = openSync(this.#path, 'a+')
      closeSync(this.#file)
      this.#file = openSync(this.#path, 'r+')
    } catch (error) {
      this.#giveUp(error)
    }
  }

  #read(): JournalState {
    if (this.#file === undefined) return EMPTY_JOURNAL
    const text = readFileSync(this.#path, 'utf8')
    const state = parseJournal(text)
    if (state !== undefined || text === '') return state ?? EMPTY_JOURNAL
    this.#logger.warn('the crash journal is not readable: a new one is begun', { path: this.#path })
    return EMPTY_JOURNAL
  }

  #write(): void {
    if (this.#file === undefined) return
    try {
      writeSync(this.#file, journalText(this.#state), 0, 'utf8')
    } catch (error) {
      this.#giveUp(error)
    }
  }

  #giveUp(error: unknown): void {
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
    const fields = { path: this.#path, error: String(error) }
    this.#logger.warn('no crash journal: a record that kills the process is not found', fields)
  }

  #report(): void {
    const { blamed, quarantined } = this.#state
    this.#logger.warn('the last owner of a partition died: its records are taken in single steps', {
      partition: this.#partition,
      upTo: this.stepsTo,
      ...(blamed.crashes > 0 ? { suspect: blamed.offset, crashes: blamed.crashes } : {}),
      quarantined: quarantined.map(({ offset }) => offset),
    })
  }
}
