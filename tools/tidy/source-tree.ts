/** The project's own text files, as git knows them, and the imports of TypeScript among them. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'

export type SourceImport = Readonly<{ specifier: string; typeOnly: boolean; line: number }>
export type SourceFile = Readonly<{ path: string; text: string }>
export type Finding = Readonly<{ path: string; line: number; problem: string }>

const TEXT = /\.(?:ts|tsx|mjs|js|json|md|sql|ya?ml|css|html|xml|sh|avsc)$|(?:^|\/)[^.]+$/

/** Every tracked file, pictures and data included, and new ones that git does not ignore. */
export function projectPaths(root: string): readonly string[] {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  })
  return [...new Set(listed.split('\n'))].filter((path) => existsSync(join(root, path)))
}

/** The text among them. Recordings are data, not text of ours. */
export function sourceTree(root: string): readonly SourceFile[] {
  return projectPaths(root)
    .filter((path) => TEXT.test(path))
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }))
}

export function isTypeScript({ path }: SourceFile): boolean {
  return /\.tsx?$/.test(path)
}

/**
 * Tests, benches, programs that only tests run, and what several of them share, which lies in a
 * `testing/` folder of its subject.
 */
export function isTest(path: string): boolean {
  return (
    /\.(?:test|bench|program)\.tsx?$/.test(path) ||
    /(?:^|\/)(?:test|testing)\/|^tools\/tidy\//.test(path)
  )
}

/** Modules that nothing but tests imports, although their place does not say so. */
export function strayTestCode(tree: readonly SourceFile[]): readonly Finding[] {
  const importers = importersOf(tree)
  const stray = new Set<string>()
  const byTests = (path: string): boolean => isTest(path) || stray.has(path)
  for (let before = -1; before < stray.size;) {
    before = stray.size
    for (const [path, from] of importers) {
      if (!isTest(path) && from.every(byTests)) stray.add(path)
    }
  }
  const problem = 'only tests use it: it belongs into a testing/ folder, or is dead'
  return [...stray].map((path) => ({ path, line: 1, problem }))
}

function importersOf(tree: readonly SourceFile[]): ReadonlyMap<string, readonly string[]> {
  const importers = new Map<string, string[]>()
  for (const file of tree.filter(isTypeScript)) {
    for (const { specifier } of importsOf(file)) {
      if (!specifier.startsWith('.')) continue
      const target = posix.join(posix.dirname(file.path), specifier)
      importers.set(target, [...(importers.get(target) ?? []), file.path])
    }
  }
  return importers
}

/** Statements and import() expressions, and require() of a literal. */
export function importsOf({ text }: SourceFile): readonly SourceImport[] {
  const patterns = [
    /^(?:import|export)\s(?<what>[^'"`;]*?)\bfrom\s*['"](?<specifier>[^'"]+)['"]/gm,
    /^import\s*['"](?<specifier>[^'"]+)['"]/gm,
    /(?<!['"`\w.])(?:import|require)\(\s*['"](?<specifier>[^'"]+)['"]/g,
  ]
  return patterns.flatMap((pattern) =>
    [...text.matchAll(pattern)].map((match) => ({
      specifier: match.groups?.['specifier'] ?? '',
      typeOnly: match.groups?.['what']?.startsWith('type ') === true,
      line: lineAt(text, match.index),
    })),
  )
}

export function lineAt(text: string, index: number): number {
  return text.slice(0, index).split('\n').length
}

/** Every match of `pattern` as a finding. */
export function findingsFor(
  file: SourceFile,
  pattern: RegExp,
  problem: string,
): readonly Finding[] {
  return [...file.text.matchAll(pattern)].map((match) => ({
    path: file.path,
    line: lineAt(file.text, match.index),
    problem: `${problem}: ${match[0].trim()}`,
  }))
}
