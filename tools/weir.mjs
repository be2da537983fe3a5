/** `npm run bench` and `npm run loadtest`: prepares the checkout, then runs that command of `weir`. */
import { prepareOrExit } from './prepare.mjs'

prepareOrExit()
await import('../dist/cli/weir.js')
