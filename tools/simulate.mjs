/** `npm run simulate`: prepares the checkout, then tries the pipeline in simulated worlds. */
import { prepareOrExit } from './prepare.mjs'

prepareOrExit()
await import('../dist/test/simulation/simulate.program.js')
