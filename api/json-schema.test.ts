/** What is wrong with a body is told by its field, in a sentence. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { BodyChecker, type JsonSchema } from './json-schema.ts'

const definitions = {
  Part: {
    type: 'object',
    properties: { tags: { type: 'array', items: { type: 'string', enum: ['a', 'b'] } } },
    required: ['tags'],
    additionalProperties: false,
  },
} as const satisfies Readonly<Record<string, JsonSchema>>
const bodies = new BodyChecker(definitions)
const part: JsonSchema = { $ref: '#/components/schemas/Part' }

const cases: readonly (readonly [string, unknown, string, RegExp])[] = [
  ['a missing field', {}, 'tags', /^tags is missing\.$/],
  ['a field too many', { tags: [], x: 1 }, 'x', /^There is no field "x"\.$/],
  ['an item of another kind', { tags: ['a', 'c'] }, 'tags.1', /"a","b"/],
  ['something else', 7, '', /^The body must be object\.$/],
  ['half a character in a text', { tags: ['a'], '\ud800': 1 }, '\ud800', /no field/],
]
for (const [what, body, field, detail] of cases) {
  it(`tells of ${what}`, () => {
    const problem = bodies.problem(body, part)
    assert.equal(problem?.field, field)
    assert.match(problem?.detail ?? '', detail)
  })
}

it('half a character is told wherever it is, in texts and in names', () => {
  const free: JsonSchema = { type: 'object' }
  assert.equal(bodies.problem({ a: { b: ['x', '\udc00'] } }, free)?.field, 'a.b.1')
  assert.equal(bodies.problem({ a: { '\ud800': 1 } }, free)?.field, 'a')
  assert.equal(bodies.problem({ a: '\u{1f600}' }, free), undefined)
})
