/**
 * The program under test makes room for thousands of windows at once, which a world with a dozen
 * processes of a few records each would spend its time on. Here its first allocations are small:
 * worlds start in a fraction of the time, and every way to grow is walked.
 */
import type { Edit } from './modules.ts'

const WINDOW = 'pipeline/window'

export const SMALL_SIZES: readonly Edit[] = [
  {
    file: `${WINDOW}/open-windows.js`,
    from: 'const BLOCK_BITS = 12;',
    to: 'const BLOCK_BITS = 4;',
  },
  {
    file: `${WINDOW}/sample-pool.js`,
    from: 'const SEGMENT_BITS = 16;',
    to: 'const SEGMENT_BITS = 9;',
  },
  { file: `${WINDOW}/rollup-row.js`, from: 'const FIRST_ROWS = 16;', to: 'const FIRST_ROWS = 4;' },
  { file: `${WINDOW}/raw-rows.js`, from: 'const FIRST_ROWS = 256;', to: 'const FIRST_ROWS = 8;' },
  // Cleared before each use and used at one go: one for all worlds does.
  {
    file: `${WINDOW}/window-shelf.js`,
    from: '#sketch = new SketchBuilder();',
    to: '#sketch = SketchBuilder.shared;',
  },
  {
    file: `${WINDOW}/sketch-builder.js`,
    from: 'export class SketchBuilder {',
    to: 'export class SketchBuilder { static shared = new SketchBuilder();',
  },
  {
    file: 'pipeline/late-recompute.js',
    from: 'const sketch = new SketchBuilder();',
    to: 'const sketch = SketchBuilder.shared;',
  },
]
