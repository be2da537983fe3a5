/** `npm run docs`: writes the documents that tables generate. tidy.test.ts holds them to it. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../platform/package-root.ts'
import { configDocument, metricDocument, optionSections } from './reference-documents.ts'

const docs = join(packageRoot(import.meta.dirname), 'docs')
writeFileSync(join(docs, 'CONFIG.md'), configDocument(await optionSections()))
writeFileSync(join(docs, 'METRICS.md'), metricDocument())
// The roles' modules may hold native libraries; there is nothing to wait for.
process.exit(0)
