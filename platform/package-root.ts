/** Where this program lies, and its version. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** The folder that holds package.json, wherever the compiled file that asks lies below it. */
export function packageRoot(from: string = import.meta.dirname): string {
  for (let folder = from; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return folder
    if (folder === dirname(folder)) throw new Error(`no package.json above ${from}`)
  }
}

/** The version of this program. */
export function packageVersion(from: string = import.meta.dirname): string {
  const text = readFileSync(join(packageRoot(from), 'package.json'), 'utf8')
  // Our own package.json, which npm requires to have a version.
  const { version } = JSON.parse(text) as { version: string }
  return version
}
