import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { javaMajorOf, type MachineFacts, missingPrerequisites } from './prerequisites.ts'

const EVERYTHING = { java: true, maven: true, clickhouse: true }
const GOOD: MachineFacts = {
  platform: 'linux',
  arch: 'x64',
  nodeMajor: 20,
  glibc: '2.36',
  javaMajor: 17,
  maven: true,
}

describe('missingPrerequisites', () => {
  test('is silent on a machine that has everything', () => {
    assert.deepEqual(missingPrerequisites(EVERYTHING, GOOD), [])
  })

  const cases: readonly [string, Partial<MachineFacts>, RegExp][] = [
    ['no Java', { javaMajor: undefined }, /Java 17 or newer, and there is none.*--kafka-brokers/],
    ['an old Java', { javaMajor: 11 }, /Java 17 or newer, and this is 11.*--registry-url/],
    ['no Maven', { maven: false }, /fetched by Maven, and there is no mvn/],
    ['another processor', { arch: 'arm64' }, /Linux on x64 only.*linux on arm64.*--clickhouse-url/],
    [
      'a new Node.js on an old system',
      { nodeMajor: 24 },
      /glibc 2\.38 or newer under Node\.js 24, and this is 2\.36: use Node\.js 20/,
    ],
    ['an ancient system', { glibc: '2.17' }, /glibc 2\.27 or newer under Node\.js 20/],
    ['no glibc at all', { glibc: undefined }, /this system has none/],
  ]
  for (const [situation, facts, sentence] of cases) {
    test(`says one sentence about ${situation}`, () => {
      const missing = missingPrerequisites(EVERYTHING, { ...GOOD, ...facts })
      assert.equal(missing.length, 1)
      assert.match(missing[0] ?? '', sentence)
    })
  }

  test('does not ask for what existing servers make unnecessary', () => {
    const facts = { ...GOOD, javaMajor: undefined, maven: false }
    const needs = { java: false, maven: false, clickhouse: false }
    assert.deepEqual(missingPrerequisites(needs, facts), [])
  })

  test('says everything at once', () => {
    const facts = { ...GOOD, javaMajor: undefined, maven: false, glibc: '2.17' }
    assert.equal(missingPrerequisites(EVERYTHING, facts).length, 3)
  })
})

describe('javaMajorOf', () => {
  const printed: readonly [string, number | undefined][] = [
    ['openjdk version "17.0.15" 2025-04-15', 17],
    ['openjdk version "21" 2023-09-19', 21],
    ['java version "1.8.0_292"', 8],
    ['command not found', undefined],
  ]
  for (const [text, major] of printed) {
    test(`${text} is ${major}`, () => assert.equal(javaMajorOf(text), major))
  }
})
