/**
 * The modules under test, as a value: those of this build, or copies of them with an edit. A copy
 * is the same program with one line changed, loaded beside the real one.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import type * as compositions from '../../pipeline/rollup-composition.ts'
import { packageRoot } from '../../platform/package-root.ts'
import type * as failures from '../../platform/failure.ts'

export type Modules = Pick<typeof compositions, 'composeRollup'> & Pick<typeof failures, 'Failure'>

/** In the built file, the first text, which must be there exactly once, becomes the second. */
export type Edit = Readonly<{ file: string; from: string; to: string }>

const BUILT = join(import.meta.dirname, '..', '..')
const ROOTS = ['pipeline/rollup-composition.js', 'platform/failure.js']

const folders: string[] = []

/** Loads the modules with these edits. The copy lies in a temporary folder until forgetCopies(). */
export async function loadModules(edits: readonly Edit[] = []): Promise<Modules> {
  const folder = edits.length === 0 ? BUILT : copyWith(ROOTS, edits)
  const [composition, failure] = ROOTS.map((path) => pathToFileURL(join(folder, path)).href)
  // The same modules but for the edits, so they have the same shape.
  const { composeRollup } = (await import(composition ?? '')) as typeof compositions
  const { Failure } = (await import(failure ?? '')) as typeof failures
  return { composeRollup, Failure }
}

/** The address of one built module, in a copy with these edits. */
export function editedModule(root: string, edits: readonly Edit[]): string {
  return pathToFileURL(join(copyWith([root], edits), root)).href
}

export function forgetCopies(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
}

function copyWith(roots: readonly string[], edits: readonly Edit[]): string {
  const copy = mkdtempSync(join(tmpdir(), 'weir-simulated-'))
  folders.push(copy)
  writeFileSync(join(copy, 'package.json'), '{"type":"module"}')
  symlinkSync(join(packageRoot(import.meta.dirname), 'node_modules'), join(copy, 'node_modules'))
  const files = closure(roots)
  for (const { file } of edits) {
    if (!files.has(file)) throw new Error(`${file} is not a part of ${roots.join(', ')}`)
  }
  for (const [file, text] of files) {
    const target = join(copy, file)
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, edited(file, text, edits))
  }
  return copy
}

function edited(file: string, text: string, edits: readonly Edit[]): string {
  let result = text
  for (const { from, to } of edits.filter((edit) => edit.file === file)) {
    if (result.split(from).length !== 2) throw new Error(`not exactly once in ${file}: ${from}`)
    result = result.replace(from, () => to)
  }
  return result
}

/** The built files that these import, at any distance. */
function closure(roots: readonly string[]): Map<string, string> {
  const files = new Map<string, string>()
  const open = [...roots]
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (files.has(file)) continue
    const text = readFileSync(join(BUILT, file), 'utf8')
    files.set(file, text)
    const imports = text.matchAll(/(?:from|import) '(?<path>\.[^']+\.js)'/g)
    for (const { groups } of imports) {
      open.push(relative(BUILT, join(BUILT, dirname(file), groups?.['path'] ?? '')))
    }
  }
  return files
}
