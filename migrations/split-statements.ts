/**
 * Cuts SQL text into statements at semicolons, but not at those inside strings, quoted names and
 * comments. ClickHouse's HTTP interface takes one statement at a time. (Postgres takes a whole
 * file, and its dollar quotes are not understood here.)
 */

/** Statements without their semicolons, without those that are only comments. */
export function splitStatements(sql: string): readonly string[] {
  const statements: string[] = []
  let start = 0
  let meaningful = false
  for (let at = 0; at < sql.length;) {
    const end = skipFrom(sql, at)
    const isComment = end > at && (sql[at] === '-' || sql[at] === '/')
    if (end > at) {
      meaningful ||= !isComment
      at = end
      continue
    }
    const character = sql.charAt(at)
    if (character === ';') {
      if (meaningful) statements.push(sql.slice(start, at).trim())
      start = at + 1
      meaningful = false
    } else if (character.trim() !== '') {
      meaningful = true
    }
    at += 1
  }
  if (meaningful) statements.push(sql.slice(start).trim())
  return statements
}

/** Where the comment, string or quoted name that begins at `at` ends; `at` itself if none does. */
function skipFrom(sql: string, at: number): number {
  if (sql.startsWith('--', at)) return after(sql, '\n', at + 2)
  if (sql.startsWith('/*', at)) return after(sql, '*/', at + 2)
  const quote = sql.charAt(at)
  if (quote !== "'" && quote !== '"' && quote !== '`') return at
  for (let end = at + 1; end < sql.length; end += 1) {
    if (sql[end] === '\\') end += 1
    // A doubled quote ends one string and begins the next: the same for our purpose.
    else if (sql[end] === quote) return end + 1
  }
  return sql.length
}

function after(sql: string, mark: string, from: number): number {
  const found = sql.indexOf(mark, from)
  return found < 0 ? sql.length : found + mark.length
}
