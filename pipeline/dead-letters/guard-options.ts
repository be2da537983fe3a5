/** Options of what stands between a partition's records and the fold. */
import { dirname, join } from 'node:path'
import type { OptionTable } from '../../platform/config/options.ts'

export const GUARD_OPTIONS = {
  invalidPercentMax: {
    kind: 'integer',
    default: 20,
    min: 1,
    max: 100,
    unit: 'percent',
    doc: 'Share of unreadable records, of 1,000 or more, above which a partition pauses; 100: never.',
  },
  schemaPatienceMs: {
    kind: 'integer',
    default: 120_000,
    min: 0,
    max: 86_400_000,
    unit: 'ms',
    doc: 'How old a record gets before a schema id that the registry does not know is given up.',
  },
  journalFolder: {
    kind: 'text',
    default: '',
    doc: 'Where partitions note what they take, to find a record that kills the process; empty: in `journal` beside the schema ids.',
  },
} as const satisfies OptionTable

export const journalFolderOf = (
  options: Readonly<{ journalFolder: string; schemaIdsFile: string }>,
): string => options.journalFolder || join(dirname(options.schemaIdsFile), 'journal')
