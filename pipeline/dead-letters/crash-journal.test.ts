import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  CRASHES_MAX,
  EMPTY_JOURNAL,
  entered,
  type JournalState,
  journalText,
  left,
  parseJournal,
  reopened,
  stepped,
  withQuarantined,
} from './crash-journal.ts'

const RECORDS = 40

/** What happens around one journal write: the process lives on, or is killed before or after it. */
class Killed extends Error {}

/**
 * A partition whose owners come and go. `poison` records kill whoever takes them; `killAt` says
 * after how many operations a SIGKILL comes to each owner, if at all.
 */
class Life {
  state: JournalState = EMPTY_JOURNAL
  committed = 0
  readonly deathsInStep: number[] = []
  readonly #poison: ReadonlySet<number>
  readonly #batch: number
  #left = Infinity

  constructor(poison: ReadonlySet<number>, batch: number) {
    this.#poison = poison
    this.#batch = batch
  }

  /** True when the owner came to the end of the log. */
  owner(killAfter: number | undefined): boolean {
    this.#left = killAfter ?? Infinity
    this.#set(reopened(this.state, this.committed))
    try {
      this.#run()
      return true
    } catch (error) {
      if (!(error instanceof Killed)) throw error
      this.deathsInStep.push(this.state.step)
      return false
    }
  }

  #run(): void {
    const stepsTo = this.state.enteredTo
    for (let first = this.committed; first < RECORDS; first += this.#batch) {
      const last = Math.min(first + this.#batch, RECORDS) - 1
      this.#operation()
      this.#set(entered(this.state, last, stepsTo))
      for (let offset = first; offset <= last; offset += 1) this.#take(offset, stepsTo)
      this.#set(left(this.state, last, stepsTo))
      this.#operation()
      this.committed = last + 1
    }
  }

  #take(offset: number, stepsTo: number): void {
    if (this.state.quarantined.some((one) => one.offset === offset)) return
    if (offset <= stepsTo) this.#set(stepped(this.state, offset))
    this.#operation()
    if (this.#poison.has(offset)) throw new Killed()
  }

  /** Through its text, as the file keeps it. */
  #set(state: JournalState): void {
    this.state = parseJournal(journalText(state)) ?? assert.fail('not readable')
  }

  #operation(): void {
    this.#left -= 1
    if (this.#left < 0) throw new Killed()
  }

  get quarantined(): number[] {
    return this.state.quarantined.map(({ offset }) => offset)
  }
}

const poisons = fc.uniqueArray(fc.nat(RECORDS - 1), { maxLength: 3 })
const batches = fc.integer({ min: 1, max: RECORDS })
const kills = fc.array(fc.option(fc.nat(120), { nil: undefined, freq: 4 }), { maxLength: 30 })

test('every record that kills the process is found, and the others are taken', () => {
  fc.assert(
    fc.property(poisons, batches, (poison, batch) => {
      const life = new Life(new Set(poison), batch)
      const found = new Set<number>()
      let deaths = 0
      while (!life.owner(undefined)) {
        deaths += 1
        for (const offset of life.quarantined) found.add(offset)
        assert.ok(deaths <= poison.length * (CRASHES_MAX + 1), 'it never ends')
      }
      for (const offset of life.quarantined) found.add(offset)
      assert.deepEqual([...found].sort(ascending), [...poison].sort(ascending))
      assert.equal(life.committed, RECORDS)
    }),
  )
})

test('kills at any moment quarantine only where three deaths in a row were inside its own step', () => {
  fc.assert(
    fc.property(poisons, batches, kills, (poison, batch, kills) => {
      const life = new Life(new Set(poison), batch)
      const blamed = new Set<number>()
      const look = (): void => {
        for (const offset of life.quarantined) {
          if (!blamed.has(offset)) assertThreeInARow(life.deathsInStep, offset)
          blamed.add(offset)
        }
      }
      for (const kill of kills) {
        life.owner(kill)
        look()
      }
      while (!life.owner(undefined)) look()
      assert.equal(life.committed, RECORDS)
    }),
  )
})

function assertThreeInARow(deaths: readonly number[], offset: number): void {
  const named = deaths.filter((step) => step >= 0).slice(0)
  const runs = named.map((_, at) => named.slice(at, at + CRASHES_MAX))
  const isRun = (run: number[]): boolean =>
    run.length === CRASHES_MAX && run.every((step) => step === offset)
  assert.ok(runs.some(isRun), `${offset} was blamed for ${deaths.join(' ')}`)
}

test('random kills without a poisonous record blame nobody', () => {
  // One seed is enough: 3,000 kills, each at a uniformly random operation.
  let seed = 20_261_123
  const random = (): number => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0) / 2 ** 32
  for (let run = 0; run < 300; run += 1) {
    const life = new Life(new Set(), 20)
    for (let kill = 0; kill < 10; kill += 1) life.owner(Math.floor(random() * 90))
    life.owner(undefined)
    assert.deepEqual(life.quarantined, [], `run ${run}`)
  }
})

test('what is no journal is not believed', () => {
  const good = journalText(EMPTY_JOURNAL)
  const cut = good.slice(0, 20)
  for (const text of ['', '{}', '\n', '{}\n', cut, `${cut}\n`, 'null\n', '{"blamed":{}}\n']) {
    assert.equal(parseJournal(text), undefined, JSON.stringify(text))
  }
  assert.deepEqual(parseJournal(`${good}the rest of a longer text`), EMPTY_JOURNAL)
})

test('a quarantined offset stays until nobody reads it again', () => {
  const refused = { offset: 7, reason: 'sink_refused', detail: 'refused' } as const
  const state = withQuarantined(EMPTY_JOURNAL, refused)
  assert.deepEqual(reopened(state, 7).quarantined, [refused])
  assert.deepEqual(reopened(state, 8).quarantined, [])
})

const ascending = (a: number, b: number): number => a - b
